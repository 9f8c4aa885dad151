/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writer.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic-file.h"
#include "cleanup.h"
#include "tap.h"

#define FLUSH_USEC UINT64_C(20000000)
#define HEADER     "{\"record\":1}"

static char folder[] = "/tmp/memarb-writer-XXXXXX";
static char state_path[128], record_path[128], old_path[128];

static void begin(void) {
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(state_path, sizeof(state_path), "%s/state.json", folder);
    (void) snprintf(record_path, sizeof(record_path), "%s/record.jsonl", folder);
    (void) snprintf(old_path, sizeof(old_path), "%s/record.jsonl.1", folder);
}

static struct ma_writer *start(uint64_t max_bytes) {
    struct ma_writer_options options = {.state_path = state_path,
                                        .record_path = record_path,
                                        .record_max_bytes = max_bytes,
                                        .record_header = HEADER};
    struct ma_writer *writer = NULL;
    struct ma_err err = {0};
    if (ma_writer_create(&options, &writer, &err) < 0) {
        TAP_FAIL("%s", err.message);
    }
    return writer;
}

static char *read_file(const char *path) {
    char *text = NULL;
    size_t len = 0;
    struct ma_err err = {0};
    if (ma_atomic_file_read(path, 1 << 20, &text, &len, &err) < 0) {
        TAP_FAIL("%s", err.message);
    }
    return text;
}

static void the_newest_state_wins_and_is_whole(void) {
    struct ma_writer *writer = start(1 << 20);
    for (int i = 0; i <= 200; i++) {
        char text[32];
        (void) snprintf(text, sizeof(text), "state %d", i);
        ma_writer_state(writer, strdup(text), strlen(text));
    }
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    ma_auto_free char *text = read_file(state_path);
    CHECK_STR(text, "state 200");
    ma_writer_destroy(writer);
}

static void lines_stand_in_order_behind_a_header(void) {
    CHECK(unlink(record_path) == 0);
    struct ma_writer *writer = start(1 << 20);
    CHECK(ma_writer_record(writer, strdup("one"), 3));
    CHECK(ma_writer_record(writer, strdup("two"), 3));
    ma_writer_destroy(writer); /* writes what waits */
    ma_auto_free char *text = read_file(record_path);
    CHECK_STR(text, HEADER "\none\ntwo\n");
}

static void the_record_is_bounded_and_keeps_one_old_file(void) {
    CHECK(unlink(record_path) == 0);
    struct ma_writer *writer = start(1000);
    for (int i = 0; i < 100; i++) {
        char line[101];
        (void) snprintf(line, sizeof(line), "%0100d", i);
        CHECK(ma_writer_record(writer, strdup(line), 100));
    }
    ma_writer_destroy(writer);
    struct stat now;
    struct stat old;
    CHECK(stat(record_path, &now) == 0 && stat(old_path, &old) == 0);
    CHECK(now.st_size <= 1000 && old.st_size <= 1000);
    ma_auto_free char *text = read_file(record_path);
    CHECK(strncmp(text, HEADER "\n", strlen(HEADER) + 1) == 0);
    CHECK(strstr(text, "099\n") != NULL); /* the newest is there */
}

/* No file grows beyond this: what a full disk does to the writer, without filling one. */
static void limit_files_to(rlim_t bytes) {
    struct rlimit limit;
    (void) signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void a_full_disk_leaves_whole_lines_and_the_record_goes_on(void) {
    CHECK(unlink(record_path) == 0);
    struct ma_writer *writer = start(1 << 20);
    CHECK(ma_writer_record(writer, strdup("before"), 6));
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    limit_files_to(sizeof(HEADER "\nbefore\n") + 5);
    CHECK(ma_writer_record(writer, strdup("half of this fits"), 17));
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    CHECK_U64(ma_writer_dropped(writer), 1);
    limit_files_to(RLIM_INFINITY);
    CHECK(ma_writer_record(writer, strdup("after"), 5));
    ma_writer_destroy(writer);
    ma_auto_free char *text = read_file(record_path);
    CHECK_STR(text, HEADER "\nbefore\nafter\n");
}

static void a_line_that_a_crash_cut_off_is_removed(void) {
    FILE *file = fopen(record_path, "w");
    CHECK(file != NULL && fputs("whole\n{\"cut\":", file) >= 0 && fclose(file) == 0);
    ma_writer_destroy(start(1 << 20));
    ma_auto_free char *text = read_file(record_path);
    CHECK_STR(text, "whole\n" HEADER "\n");
    /* nothing but a cut line */
    file = fopen(record_path, "w");
    CHECK(file != NULL && fputs("{\"cut\":", file) >= 0 && fclose(file) == 0);
    ma_writer_destroy(start(1 << 20));
    ma_auto_free char *other = read_file(record_path);
    CHECK_STR(other, HEADER "\n");
}

static void a_state_that_could_not_be_written_is_told(void) {
    struct ma_writer *writer = start(1 << 20);
    ma_writer_state(writer, strdup("good"), 4);
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    CHECK(!ma_writer_has_state_failed(writer));
    limit_files_to(2);
    ma_writer_state(writer, strdup("newer"), 5);
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    CHECK(ma_writer_has_state_failed(writer));
    limit_files_to(RLIM_INFINITY);
    ma_auto_free char *text = read_file(state_path);
    CHECK_STR(text, "good"); /* the old one is whole */
    ma_writer_state(writer, strdup("newest"), 6);
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    CHECK(!ma_writer_has_state_failed(writer));
    ma_writer_destroy(writer);
}

static void what_does_not_fit_the_queue_is_dropped_and_counted(void) {
    struct ma_writer *writer = start(UINT64_C(1) << 30);
    size_t huge = 5U << 20;
    unsigned taken = 0;
    for (int i = 0; i < 20; i++) {
        char *line = malloc(huge);
        CHECK(line != NULL);
        memset(line, 'x', huge);
        taken += ma_writer_record(writer, line, huge) ? 1U : 0U;
    }
    CHECK_U64(ma_writer_dropped(writer), 20 - taken);
    CHECK(taken > 0);
    CHECK(ma_writer_flush(writer, FLUSH_USEC));
    CHECK(ma_writer_record(writer, strdup("after"), 5)); /* it goes on */
    ma_writer_destroy(writer);
    CHECK(unlink(record_path) == 0 && unlink(old_path) == 0 && unlink(state_path) == 0);
    CHECK(rmdir(folder) == 0);
}

TAP_MAIN(TAP_CASE(begin),
         TAP_CASE(the_newest_state_wins_and_is_whole),
         TAP_CASE(lines_stand_in_order_behind_a_header),
         TAP_CASE(the_record_is_bounded_and_keeps_one_old_file),
         TAP_CASE(a_full_disk_leaves_whole_lines_and_the_record_goes_on),
         TAP_CASE(a_line_that_a_crash_cut_off_is_removed),
         TAP_CASE(a_state_that_could_not_be_written_is_told),
         TAP_CASE(what_does_not_fit_the_queue_is_dropped_and_counted));
