/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vanish.c - a process that was looked at and ended before it is acted on, and whose number another one has by then. In
 * number space of its own, where a process is given the number that the test names (clone3, set_tid). */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "node-move.h"
#include "process-limits.h"
#include "tap.h"
#include "tree.h"

#define NUMBER        4711
#define MEMLOCK_BYTES UINT64_C(65536)
#define CANNOT_RUN    77

static struct ma_process held = {.pidfd = -1, .dir_fd = -1};
static struct ma_err err;

/* A process of that number, which waits for its end. */
static void begin_process(void) {
    pid_t number = NUMBER;
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t) (uintptr_t) &number, .set_tid_size = 1};
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        for (;;) {
            (void) pause();
        }
    }
    if (pid < 0) {
        _exit(CANNOT_RUN);
    }
    const struct rlimit limit = {.rlim_cur = MEMLOCK_BYTES, .rlim_max = MEMLOCK_BYTES};
    CHECK_I64(pid, NUMBER);
    CHECK_I64(prlimit(NUMBER, RLIMIT_MEMLOCK, &limit, NULL), 0);
}

static void end_process(void) {
    CHECK_I64(kill(NUMBER, SIGKILL), 0);
    CHECK_I64(waitpid(NUMBER, NULL, 0), NUMBER);
}

static void nothing_is_read(void) {
    struct ma_process_sample sample;
    struct ma_process_memlock memlock;
    struct ma_process_cgroup where;
    struct ma_process_devices devices;
    int adj = 0;
    CHECK(ma_process_is_gone(&held));
    CHECK_I64(ma_process_read(&held, &sample, &err), -ESRCH);
    CHECK_I64(ma_process_read_memlock(&held, &memlock, &err), -ESRCH);
    CHECK_I64(ma_process_read_cgroup(&held, &where, &err), -ESRCH);
    CHECK_I64(ma_process_read_oom_score_adj(&held, &adj, &err), -ESRCH);
    CHECK(ma_process_read_devices(&held, &devices, &err) < 0);
}

static void nothing_is_done(void) {
    static struct ma_node_move_buffers buffers;
    const struct ma_process_memlock lower = {.soft_bytes = 4096, .hard_bytes = 4096};
    const struct ma_node_move_request move = {.want_bytes = 1U << 20, .from_node = 0, .to_node = 1};
    struct ma_node_moved moved;
    enum ma_release_result released = MA_RELEASE_DONE;
    CHECK_I64(ma_process_set_memlock(&held, &lower, &err), -ESRCH);
    CHECK_I64(ma_process_set_oom_score_adj(&held, 1000, &err), -ESRCH);
    CHECK_I64(ma_process_kill(&held, &err), -ESRCH);
    CHECK_I64(ma_node_move_worker(&held, &move, &buffers, &moved, &err), -ESRCH);
    CHECK_I64(ma_process_release_memory_worker(&held, &released, &err), 0);
    CHECK(released != MA_RELEASE_DONE);
}

static void the_other_one_is_as_it_was(const char *proc) {
    struct ma_process other;
    struct ma_process_memlock memlock;
    int adj = -1;
    CHECK_I64(waitpid(NUMBER, NULL, WNOHANG), 0);
    CHECK_I64(ma_process_open(&other, proc, NUMBER, &err), 0);
    CHECK_I64(ma_process_read_memlock(&other, &memlock, &err), 0);
    CHECK_U64(memlock.hard_bytes, MEMLOCK_BYTES);
    CHECK_I64(ma_process_read_oom_score_adj(&other, &adj, &err), 0);
    CHECK_I64(adj, 0);
    ma_process_close(&other);
}

/* The first process of the new number space; its end takes all others along. */
static void run_inside(const char *proc) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", proc, "proc", 0, NULL) < 0) {
        _exit(CANNOT_RUN);
    }
    begin_process();
    CHECK_I64(ma_process_open(&held, proc, NUMBER, &err), 0);
    end_process();
    nothing_is_read();
    nothing_is_done();
    begin_process();
    nothing_is_read();
    nothing_is_done();
    the_other_one_is_as_it_was(proc);
    _exit(0); /* nothing of the parent's is ended twice */
}

static void a_number_that_another_has_by_now(void) {
    struct tree t;
    char proc[256];
    int status = 0;
    tree_make(&t);
    tree_write(&t, "proc/x", "");
    (void) tree_path(&t, "proc", proc);
    (void) fflush(stdout);
    /* by itself: this process goes on in the number space and with the mounts that it has */
    pid_t outer = fork();
    if (outer == 0) {
        int r = unshare(CLONE_NEWPID | CLONE_NEWNS);
        pid_t inner = r == 0 ? fork() : -1;
        if (inner == 0) {
            run_inside(proc);
        }
        _exit(inner > 0 && waitpid(inner, &status, 0) == inner && WIFEXITED(status)
                  ? WEXITSTATUS(status)
              : inner < 0 ? CANNOT_RUN
                          : 1);
    }
    CHECK(outer > 0 && waitpid(outer, &status, 0) == outer);
    tree_remove(&t);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT_RUN) {
        TAP_SKIP_ALL("no number space of its own can be made here");
    }
    CHECK_I64(WEXITSTATUS(status), 0);
}

TAP_MAIN(TAP_CASE(a_number_that_another_has_by_now));
