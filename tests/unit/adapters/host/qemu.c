/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real QEMU, stopped before its first instruction, as the process to be held. */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "process.h"
#include "snapshot.h"
#include "tap.h"
#include "unmovable.h"

#define RAM_BYTES (64 * MA_MIB)
static pid_t qemu_pid;
static FILE *qemu_says; /* open until the next one: QEMU must not lose its reader */

static void end_qemu(void) {
    if (qemu_pid > 0) {
        (void) kill(qemu_pid, SIGKILL);
        (void) waitpid(qemu_pid, NULL, 0);
    }
}

/* Returns once QEMU has made its machine. Its greeting comes from a thread of the monitor and may be earlier; a
 * status comes from the main loop, which runs only then. */
static void start_qemu(const char *mem_lock) {
    int out[2];
    int in[2];
    CHECK(pipe(out) == 0 && pipe(in) == 0);
    (void) signal(SIGPIPE, SIG_IGN);
    qemu_pid = fork();
    CHECK(qemu_pid >= 0);
    if (qemu_pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed check leaves nothing behind */
        (void) dup2(in[0], 0);
        (void) dup2(out[1], 1);
        (void) close(in[1]);
        (void) close(out[0]);
        (void) execlp("qemu-system-x86_64", "qemu-system-x86_64", "-accel", "tcg,tb-size=1",
                      "-nodefaults", "-display", "none", "-S", "-m", "64", "-name",
                      "guest=web,,1,debug-threads=on", "-uuid",
                      "6C0E8F1A-0000-4000-8000-0123456789AB", "-overcommit", mem_lock, "-qmp",
                      "stdio", (char *) NULL);
        _exit(127);
    }
    (void) close(out[1]);
    (void) close(in[0]);
    static const char ask[] =
        "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n";
    bool is_asked = write(in[1], ask, sizeof(ask) - 1) > 0; /* not so without a QEMU */
    if (qemu_says != NULL) {
        (void) fclose(qemu_says);
    }
    qemu_says = fdopen(out[0], "r");
    char line[4096];
    CHECK(qemu_says != NULL);
    do {
        if (!is_asked || fgets(line, sizeof(line), qemu_says) == NULL) {
            end_qemu();
            TAP_SKIP_ALL("qemu-system-x86_64 is missing or may not lock memory");
        }
    } while (strstr(line, "\"status\"") == NULL);
    /* Both ends stay open until QEMU has ended: it quits when its monitor's input closes. */
}

static void who_it_is_and_what_it_locks(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_identity id;
    struct ma_process_sample s;
    struct ma_process_devices devices;
    start_qemu("mem-lock=on");
    CHECK_I64(ma_process_open(&p, "/proc", qemu_pid, &err), 0);
    CHECK_I64(ma_process_read_identity(&p, &id, &err), 0);
    CHECK(id.is_qemu && id.is_exe_seen && id.is_mem_locked);
    CHECK_STR(id.exe, "qemu-system-x86_64");
    CHECK_STR(id.name, "web,1");
    CHECK_STR(id.uuid, "6c0e8f1a-0000-4000-8000-0123456789ab");
    CHECK_U64(id.inhibited_by, MA_INHIBITOR_LOCKED);
    CHECK_I64(ma_process_read(&p, &s, &err), 0);
    CHECK(s.locked_bytes >= RAM_BYTES && s.rss_bytes >= RAM_BYTES);
    struct ma_unmovable_input in = {.is_mem_locked = id.is_mem_locked,
                                    .resident_bytes = s.rss_bytes,
                                    .locked_bytes = s.locked_bytes,
                                    .ram_bytes = RAM_BYTES};
    CHECK_U64(ma_unmovable_bytes(&in), s.rss_bytes);
    CHECK_I64(ma_process_read_devices(&p, &devices, &err), 0);
    CHECK_U64(devices.inhibited_by, 0);
    CHECK_I64(ma_process_kill(&p, &err), 0);
    struct pollfd gone = {.fd = p.pidfd, .events = POLLIN};
    CHECK(poll(&gone, 1, 20000) == 1);
    CHECK(waitpid(qemu_pid, NULL, 0) == qemu_pid);
    qemu_pid = 0;
    ma_process_close(&p);
}

static void an_ordinary_guest_is_not_held_back(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_identity id;
    struct ma_process_sample s;
    start_qemu("mem-lock=off");
    CHECK_I64(ma_process_open(&p, "/proc", qemu_pid, &err), 0);
    CHECK_I64(ma_process_read_identity(&p, &id, &err), 0);
    CHECK_U64(id.inhibited_by, 0);
    CHECK_I64(ma_process_read(&p, &s, &err), 0);
    CHECK_U64(s.locked_bytes, 0);
    ma_process_close(&p);
    end_qemu();
    qemu_pid = 0;
}

TAP_MAIN(TAP_CASE(who_it_is_and_what_it_locks), TAP_CASE(an_ordinary_guest_is_not_held_back));
