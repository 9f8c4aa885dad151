/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "intent-log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static char folder[] = "/tmp/memarb-intents-XXXXXX";
static char path[128];

struct seen {
    unsigned n;
    uint64_t first, last;
    struct ma_intent newest;
};

static void see(void *userdata, const struct ma_intent *intent) {
    struct seen *seen = userdata;
    if (seen->n++ == 0) {
        seen->first = intent->seq;
    }
    CHECK(seen->n == 1 || intent->seq == seen->last + 1); /* oldest first, none twice */
    seen->last = intent->seq;
    seen->newest = *intent;
}

static struct ma_intent_log *open_log(void) {
    struct ma_intent_log *log = NULL;
    struct ma_err err = {0};
    if (ma_intent_log_open(path, &log, &err) < 0) {
        TAP_FAIL("%s", err.message);
    }
    return log;
}

static struct ma_intent intent_on(const char *uuid, uint64_t to_bytes) {
    struct ma_intent intent = {.action = MA_ACTION_BALLOON, .to_bytes = to_bytes};
    (void) snprintf(intent.uuid, sizeof(intent.uuid), "%s", uuid);
    return intent;
}

static void begin(void) {
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/intents", folder);
}

static void an_intent_is_there_after_the_process_was_killed(void) {
    pid_t child = fork();
    if (child == 0) {
        struct ma_intent_log *log = open_log();
        struct ma_intent intent = intent_on("guest-a", 7 * MA_MIB);
        (void) ma_intent_log_put(log, &intent);
        (void) kill(getpid(), SIGKILL); /* no close, no sync */
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    struct ma_intent_log *log = open_log();
    struct seen seen = {0};
    ma_intent_log_replay(log, 0, see, &seen);
    CHECK_U64(seen.n, 1);
    CHECK_STR(seen.newest.uuid, "guest-a");
    CHECK_U64(seen.newest.to_bytes, 7 * MA_MIB);
    CHECK_U64(ma_intent_log_last(log), 1);
    ma_intent_log_close(log);
}

static void only_what_came_after_a_number_is_replayed(void) {
    struct ma_intent_log *log = open_log();
    for (uint64_t i = 0; i < 9; i++) {
        struct ma_intent intent = intent_on("guest-b", i);
        (void) ma_intent_log_put(log, &intent);
    }
    struct seen seen = {0};
    ma_intent_log_replay(log, 6, see, &seen);
    CHECK_U64(seen.first, 7);
    CHECK_U64(seen.last, 10);
    struct seen none = {0};
    ma_intent_log_replay(log, 10, see, &none);
    CHECK_U64(none.n, 0);
    ma_intent_log_close(log);
}

static void the_ring_keeps_the_newest_and_goes_on_counting(void) {
    struct ma_intent_log *log = open_log();
    for (uint64_t i = 0; i < 10000; i++) {
        struct ma_intent intent = intent_on("guest-c", i);
        (void) ma_intent_log_put(log, &intent);
    }
    uint64_t last = ma_intent_log_last(log);
    ma_intent_log_close(log);
    log = open_log();
    CHECK_U64(ma_intent_log_last(log), last);
    struct seen seen = {0};
    ma_intent_log_replay(log, 0, see, &seen);
    CHECK_U64(seen.last, last);
    CHECK_U64(seen.newest.to_bytes, 9999);
    CHECK(seen.n >= 1000 && seen.n <= 4096);
    ma_intent_log_close(log);
}

/* Every byte of the file in turn is another one: what is read is intact intents or none, never a crash. */
static void damage_is_skipped_or_set_aside(void) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    uint64_t seed = 20261122;
    (void) fprintf(stderr, "# seed %" PRIu64 "\n", seed);
    for (int i = 0; i < 300; i++) {
        off_t at = (off_t) tap_below(&seed, (uint64_t) st.st_size);
        unsigned char byte = (unsigned char) tap_random(&seed);
        CHECK(pwrite(fd, &byte, 1, at) == 1);
        struct ma_intent_log *log = open_log();
        struct seen seen = {0};
        /* gaps are fine, order is not */
        ma_intent_log_replay(log, ma_intent_log_last(log) - 1, see, &seen);
        ma_intent_log_close(log);
    }
    (void) close(fd);
}

static void a_file_of_another_size_is_set_aside(void) {
    CHECK(truncate(path, 100) == 0);
    struct ma_intent_log *log = open_log();
    CHECK_U64(ma_intent_log_last(log), 0);
    ma_intent_log_close(log);
    char aside[160];
    (void) snprintf(aside, sizeof(aside), "%s.bad", path);
    CHECK(access(aside, F_OK) == 0);
    CHECK(unlink(aside) == 0);
}

static void a_folder_in_its_place_is_an_error(void) {
    struct ma_intent_log *log = NULL;
    struct ma_err err = {0};
    CHECK(ma_intent_log_open(folder, &log, &err) < 0);
    CHECK(strstr(err.message, folder) != NULL);
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

TAP_MAIN(TAP_CASE(begin),
         TAP_CASE(an_intent_is_there_after_the_process_was_killed),
         TAP_CASE(only_what_came_after_a_number_is_replayed),
         TAP_CASE(the_ring_keeps_the_newest_and_goes_on_counting),
         TAP_CASE(damage_is_skipped_or_set_aside),
         TAP_CASE(a_file_of_another_size_is_set_aside),
         TAP_CASE(a_folder_in_its_place_is_an_error));
