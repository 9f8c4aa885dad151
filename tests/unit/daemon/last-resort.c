/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* last-resort.c - the fence program and the panic, on real processes and a made trigger file. */
#include "last-resort.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "tap.h"
#include "writer.h"

/* For what takes milliseconds, on a machine that does much else. */
#define PATIENCE_MS 60000

static char folder[] = "/tmp/memarb-last-XXXXXX";
static struct ma_writer *writer;
static struct ma_last_resort *resort;

static void path_of(const char *name, char path[96]) {
    (void) snprintf(path, 96, "%s/%s", folder, name);
}

static struct ma_last_resort_order order_of(const char *name, const char *script) {
    struct ma_last_resort_order order = {.kind = MA_LAST_RESORT_COMMAND,
                                         .timeout_usec = 60 * MA_USEC_PER_SEC,
                                         .trigger_fd = -1,
                                         .available_bytes = 5,
                                         .missing_bytes = 7,
                                         .incident_usec = 11,
                                         .guests = 13};
    char path[96];
    path_of(name, path);
    if (script != NULL) {
        FILE *f = fopen(path, "w");
        CHECK(f != NULL);
        (void) fprintf(f, "#!/bin/sh\ncd %s\n%s\n", folder, script);
        CHECK(fclose(f) == 0 && chmod(path, 0700) == 0);
    }
    (void) snprintf(order.command, sizeof(order.command), "%s", path);
    return order;
}

static struct ma_last_resort_result run(const struct ma_last_resort_order *order) {
    struct ma_last_resort_result result;
    struct pollfd fd = {.fd = ma_last_resort_fd(resort), .events = POLLIN};
    CHECK_I64(ma_last_resort_submit(resort, order), 0);
    CHECK_I64(poll(&fd, 1, PATIENCE_MS), 1);
    CHECK(ma_last_resort_pop(resort, &result));
    CHECK(!ma_last_resort_pop(resort, &result));
    return result;
}

static const char *read_back(const char *name) {
    static char text[512];
    char path[96];
    path_of(name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    CHECK(n >= 0 && close(fd) == 0);
    text[n] = '\0';
    return text;
}

static void begin(void) {
    struct ma_err err = {0};
    char state[96];
    CHECK(mkdtemp(folder) != NULL);
    path_of("state", state);
    struct ma_writer_options options = {
        .state_path = state, .record_path = "", .record_header = "{}"};
    CHECK_I64(ma_writer_create(&options, &writer, &err), 0);
    CHECK_I64(ma_last_resort_create(writer, &resort, &err), 0);
}

static void a_program_runs_with_what_is_known(void) {
    begin();
    struct ma_last_resort_order order = order_of("good", "env | grep ^MEMARB | sort >env; exit 3");
    struct ma_last_resort_result result = run(&order);
    CHECK_I64(result.error, 0);
    CHECK(!result.is_timeout);
    CHECK_I64(WEXITSTATUS(result.exit_status), 3);
    CHECK_STR(read_back("env"),
              "MEMARB_AVAILABLE_BYTES=5\nMEMARB_GUESTS=13\nMEMARB_INCIDENT_USEC=11\n"
              "MEMARB_MISSING_BYTES=7\nMEMARB_REASON=exhausted\n");
}

static void what_cannot_be_run_is_told(void) {
    struct ma_last_resort_order order = order_of("absent", NULL);
    CHECK_I64(run(&order).error, -ENOENT);
}

static pid_t pid_in(const char *name) {
    uint64_t pid = 0;
    CHECK_I64(ma_parse_u64(read_back(name), 1U << 30, &pid), 0);
    CHECK(pid > 1);
    return (pid_t) pid;
}

/* Gone, or dead and not looked at by its new parent yet. */
static bool is_dead(pid_t pid) {
    char path[64];
    char text[512] = "";
    (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    bool is_there = f != NULL && fgets(text, sizeof(text), f) != NULL;
    if (f != NULL) {
        (void) fclose(f);
    }
    return !is_there || strstr(text, ") Z") != NULL;
}

static void its_time_is_over_for_all_it_started(void) {
    struct ma_last_resort_order order =
        order_of("slow", "sh -c 'printf %s $$ >child; exec sleep 1000' & wait");
    order.timeout_usec = 2 * MA_USEC_PER_SEC;
    struct ma_last_resort_result result = run(&order);
    CHECK(result.is_timeout);
    CHECK_I64(WTERMSIG(result.exit_status), SIGKILL);
    pid_t child = pid_in("child");
    for (unsigned i = 0; i < PATIENCE_MS / 10 && !is_dead(child); i++) {
        (void) usleep(10000);
    }
    CHECK(is_dead(child));
}

static void a_panic_is_one_letter(void) {
    char path[96];
    path_of("sysrq-trigger", path);
    struct ma_last_resort_order order = {.kind = MA_LAST_RESORT_PANIC};
    order.trigger_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(order.trigger_fd >= 0);
    CHECK_I64(run(&order).error, 0);
    CHECK_STR(read_back("sysrq-trigger"), "c");
    order.trigger_fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_I64(run(&order).error, -EBADF);
}

static void one_at_a_time_and_an_end_waits_for_nobody(void) {
    struct ma_last_resort_order order =
        order_of("long", "printf %s $$ >new; mv new long-pid; exec sleep 1000");
    CHECK_I64(ma_last_resort_submit(resort, &order), 0);
    CHECK_I64(ma_last_resort_submit(resort, &order), -EBUSY);
    char path[96];
    path_of("long-pid", path);
    for (unsigned i = 0; i < PATIENCE_MS / 10 && access(path, F_OK) < 0; i++) {
        (void) usleep(10000);
    }
    pid_t pid = pid_in("long-pid");
    ma_last_resort_destroy(resort); /* returns although the program runs on */
    ma_last_resort_destroy(NULL);
    ma_writer_destroy(writer);
    CHECK(!is_dead(pid));
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    static const char *const names[] = {"good",  "slow",     "long",         "env",
                                        "child", "long-pid", "sysrq-trigger"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void) unlink(path);
    }
    (void) rmdir(folder);
}

TAP_MAIN(TAP_CASE(a_program_runs_with_what_is_known),
         TAP_CASE(what_cannot_be_run_is_told),
         TAP_CASE(its_time_is_over_for_all_it_started),
         TAP_CASE(a_panic_is_one_letter),
         TAP_CASE(one_at_a_time_and_an_end_waits_for_nobody));
