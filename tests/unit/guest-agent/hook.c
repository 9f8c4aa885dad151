/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hook.c - real programs: what they are told, that one runs at a time, and that none outlives its deadline. */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static char folder[] = "/tmp/memarb-hook-XXXXXX";
static char script[128], out[128];

static void put(const char *path, const char *text, mode_t mode) {
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
    CHECK(chmod(path, mode) == 0);
}

static void write_hook(const char *body) {
    char text[512];
    if (script[0] == '\0') {
        CHECK(mkdtemp(folder) != NULL);
        (void) snprintf(script, sizeof(script), "%s/hook", folder);
        (void) snprintf(out, sizeof(out), "%s/out", folder);
    }
    (void) snprintf(text, sizeof(text), "#!/bin/sh\ncd '%s' || exit 9\n%s\n", folder, body);
    put(script, text, 0755);
}

static const struct mag_squeeze squeeze = {
    .id = 7, .target_bytes = 2048, .take_bytes = 1024, .deadline_usec = 5000000};

/* Waits for the end of the one that runs, as SIGCHLD would tell. */
static enum mag_hook wait_end(struct mag_hook_runner *h, uint64_t *ret_id) {
    enum mag_hook outcome = MAG_HOOK_NONE;
    siginfo_t info;
    CHECK(h->pid > 0);
    CHECK(waitid(P_PID, (id_t) h->pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(mag_hook_on_child(h, ret_id, &outcome));
    CHECK(h->pid == 0);
    return outcome;
}

static void it_hears_what_will_be_taken(void) {
    char text[1024] = "";
    uint64_t id;
    write_hook("{ echo \"$1\"; env | grep MEMARB_ | sort; cat; } >out");
    struct mag_hook_runner h = {.path = script};
    CHECK_I64(mag_hook_announce(&h, &squeeze, 3500000), 0);
    CHECK_U64(mag_hook_next_usec(&h), 5000000);
    CHECK_U64(wait_end(&h, &id), MAG_HOOK_DONE);
    CHECK_U64(id, 7);
    FILE *f = fopen(out, "r");
    CHECK(f != NULL);
    CHECK(fread(text, 1, sizeof(text) - 1, f) > 0);
    (void) fclose(f);
    CHECK_STR(text, "squeeze\nMEMARB_DEADLINE_MSEC=1500\nMEMARB_EVENT=squeeze\nMEMARB_SQUEEZE=7\n"
                    "MEMARB_TAKE_BYTES=1024\nMEMARB_TARGET_BYTES=2048\n");
}

static void its_exit_status_is_its_answer(void) {
    static const struct {
        const char *body;
        enum mag_hook outcome;
    } cases[] = {{"exit 0", MAG_HOOK_DONE},
                 {"exit 1", MAG_HOOK_FAILED},
                 {"exit 75", MAG_HOOK_VETO},
                 {"kill -9 $$", MAG_HOOK_FAILED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id;
        write_hook(cases[i].body);
        struct mag_hook_runner h = {.path = script};
        CHECK_I64(mag_hook_announce(&h, &squeeze, 0), 0);
        CHECK_U64(wait_end(&h, &id), cases[i].outcome);
    }
}

static void at_its_deadline_it_is_killed_with_its_children(void) {
    uint64_t id;
    int pipes[2];
    char text[128];
    CHECK(pipe(pipes) == 0);
    (void) snprintf(text, sizeof(text), "sleep 1000 & sleep 1000");
    write_hook(text);
    struct mag_hook_runner h = {.path = script};
    CHECK_I64(mag_hook_announce(&h, &squeeze, 0), 0);
    (void) close(
        pipes
            [1]); /* the hook and its children hold the other end: it closes when the last has gone */
    mag_hook_on_time(&h, 4999999);
    enum mag_hook outcome;
    CHECK(!mag_hook_on_child(&h, &id, &outcome)); /* still there */
    mag_hook_on_time(&h, 5000000);
    CHECK_U64(wait_end(&h, &id), MAG_HOOK_KILLED);
    struct pollfd closed = {.fd = pipes[0]};
    CHECK(poll(&closed, 1, 30000) == 1 && (closed.revents & POLLHUP) != 0);
    (void) close(pipes[0]);
}

static void one_runs_at_a_time_and_the_newest_waits(void) {
    uint64_t id;
    struct mag_squeeze second = squeeze, third = squeeze, next;
    second.id = 8;
    third.id = 9;
    write_hook("sleep 1000");
    struct mag_hook_runner h = {.path = script};
    CHECK_I64(mag_hook_announce(&h, &squeeze, 0), 0);
    pid_t first = h.pid;
    CHECK_I64(mag_hook_announce(&h, &second, 0), 0);
    CHECK_I64(mag_hook_announce(&h, &third, 0), 0);
    CHECK(h.pid == first && !mag_hook_take_next(&h, &next));
    mag_hook_stop(&h);
    CHECK_U64(wait_end(&h, &id), MAG_HOOK_KILLED);
    CHECK_U64(id, 7);
    CHECK(mag_hook_take_next(&h, &next));
    CHECK_U64(next.id, 9);
    CHECK(!mag_hook_take_next(&h, &next));
}

static void what_others_may_write_is_not_run(void) {
    struct mag_hook_runner h = {.path = script};
    write_hook("exit 0");
    CHECK(chmod(script, 0757) == 0);
    CHECK_I64(mag_hook_announce(&h, &squeeze, 0), -EPERM);
    CHECK(chmod(script, 0775) == 0);
    CHECK_I64(mag_hook_announce(&h, &squeeze, 0), -EPERM);
    CHECK(chmod(script, 0644) == 0);
    CHECK_I64(mag_hook_announce(&h, &squeeze, 0), -EACCES);
    CHECK_I64(mag_hook_check(folder), -EACCES);
    CHECK_I64(mag_hook_check("/nowhere"), -ENOENT);
    CHECK(chmod(script, 0755) == 0);
    CHECK_I64(mag_hook_announce(&h, &squeeze, squeeze.deadline_usec), -ETIME);
    CHECK(h.pid == 0);
    (void) unlink(script);
    (void) unlink(out);
    (void) rmdir(folder);
}

TAP_MAIN(TAP_CASE(it_hears_what_will_be_taken),
         TAP_CASE(its_exit_status_is_its_answer),
         TAP_CASE(at_its_deadline_it_is_killed_with_its_children),
         TAP_CASE(one_runs_at_a_time_and_the_newest_waits),
         TAP_CASE(what_others_may_write_is_not_run));
