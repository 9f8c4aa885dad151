/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "limit-log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static char folder[] = "/tmp/memarb-limits-XXXXXX";
static char path[128];

static struct ma_limit_log *open_log(void) {
    struct ma_limit_log *log = NULL;
    struct ma_err err = {0};
    if (ma_limit_log_open(path, &log, &err) < 0) {
        TAP_FAIL("%s", err.message);
    }
    return log;
}

static const struct ma_limit_entry ours = {
    .is_ours = true, .before = MA_LIMIT_NONE, .prev = MA_LIMIT_NONE, .ours = 4096, .set_usec = 7};

static void what_was_noted_outlives_the_process(void) {
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/limits", folder);
    pid_t child = fork();
    if (child == 0) {
        struct ma_limit_record *r = ma_limit_log_get(open_log(), "a-uuid", 42, 4242);
        r->memlock_soft_before = 99;
        ma_limit_log_note(r, MA_LIMIT_MEMLOCK, &ours);
        (void) kill(getpid(), SIGKILL);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    struct ma_limit_log *log = open_log();
    struct ma_limit_record *r = ma_limit_log_next(log, NULL);
    CHECK(r != NULL && r == ma_limit_log_find(log, "a-uuid", 42, 4242));
    CHECK(r->entries[MA_LIMIT_MEMLOCK].is_ours && !r->entries[MA_LIMIT_CPU_MAX].is_ours);
    CHECK_U64(r->entries[MA_LIMIT_MEMLOCK].before, MA_LIMIT_NONE);
    CHECK_U64(r->entries[MA_LIMIT_MEMLOCK].ours, 4096);
    CHECK_U64(r->memlock_soft_before, 99);
    CHECK(ma_limit_log_next(log, r) == NULL);
    ma_limit_log_close(log);
}

static void another_process_of_the_same_guest_has_nothing(void) {
    struct ma_limit_log *log = open_log();
    CHECK(ma_limit_log_find(log, "a-uuid", 42, 4243) == NULL); /* its pid, given away again */
    CHECK(ma_limit_log_find(log, "a-uuid", 43, 4242) == NULL);
    CHECK(ma_limit_log_find(log, "b-uuid", 42, 4242) == NULL);
    ma_limit_log_close(log);
}

static void places_are_used_again_and_run_out(void) {
    struct ma_limit_log *log = open_log();
    struct ma_limit_record *first = ma_limit_log_next(log, NULL);
    ma_limit_log_drop(first);
    CHECK(ma_limit_log_next(log, NULL) == NULL);
    uint64_t n = 0;
    while (ma_limit_log_get(log, "full", ++n, 1) != NULL) {
    }
    CHECK_U64(n, 4097);
    struct ma_limit_record *last = ma_limit_log_find(log, "full", 4096, 1);
    CHECK(last != NULL);
    ma_limit_log_note(last, MA_LIMIT_CPU_MAX, &ours);
    ma_limit_log_drop(last);
    struct ma_limit_record *again = ma_limit_log_get(log, "again", 5, 5);
    CHECK(again == last && !again->entries[MA_LIMIT_CPU_MAX].is_ours);
    ma_limit_log_close(log);
}

static void a_file_of_another_layout_is_set_aside(void) {
    char aside[160];
    struct stat st;
    CHECK(truncate(path, 100) == 0);
    struct ma_limit_log *log = open_log();
    CHECK(ma_limit_log_next(log, NULL) == NULL);
    ma_limit_log_close(log);
    (void) snprintf(aside, sizeof(aside), "%s.bad", path);
    CHECK(stat(aside, &st) == 0 && st.st_size == 100);
    CHECK(unlink(aside) == 0 && unlink(path) == 0);
    CHECK(symlink("/etc/passwd", path) == 0);
    struct ma_err err = {0};
    CHECK(ma_limit_log_open(path, &log, &err) < 0);
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

TAP_MAIN(TAP_CASE(what_was_noted_outlives_the_process),
         TAP_CASE(another_process_of_the_same_guest_has_nothing),
         TAP_CASE(places_are_used_again_and_run_out),
         TAP_CASE(a_file_of_another_layout_is_set_aside));
