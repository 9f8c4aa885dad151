/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lines.c - the stream cut into lines, wherever the reads cut it. */
#include "protocol.h"
#include "tap.h"

struct heard {
    char text[4096]; /* every line, each followed by '|' */
    size_t used, stop_after, count;
};

static bool note(void *userdata, const char *line, size_t length) {
    struct heard *h = userdata;
    CHECK(length > 0 && length < MAG_LINE_MAX);
    CHECK(h->used + length + 2 < sizeof(h->text));
    memcpy(h->text + h->used, line, length);
    h->used += length;
    h->text[h->used++] = '|';
    h->text[h->used] = '\0';
    return ++h->count != h->stop_after;
}

static void feed(struct mag_lines *lines, struct heard *h, const char *text, uint64_t *dropped) {
    CHECK_U64(mag_lines_feed(lines, text, strlen(text), note, h, dropped), strlen(text));
}

static void lines_come_out_however_the_reads_cut_them(void) {
    static const char text[] = "one\n\ntwo two\n\n\nthree\nrest";
    for (size_t first = 0; first < sizeof(text); first++) {
        for (size_t step = 1; step < sizeof(text); step++) {
            struct mag_lines lines = {0};
            struct heard h = {.used = 0};
            uint64_t dropped = 0;
            size_t n = strlen(text), at = first < n ? first : n;
            CHECK_U64(mag_lines_feed(&lines, text, at, note, &h, &dropped), at);
            for (; at < n; at += step) {
                size_t take = step < n - at ? step : n - at;
                CHECK_U64(mag_lines_feed(&lines, text + at, take, note, &h, &dropped), take);
            }
            CHECK_STR(h.text, "one|two two|three|");
            CHECK_U64(dropped, 0);
        }
    }
}

static void a_line_that_is_too_long_is_dropped_and_counted_once(void) {
    char longest[MAG_LINE_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    for (size_t cut = 0; cut < MAG_LINE_MAX; cut += 113) {
        struct mag_lines lines = {0};
        struct heard h = {.used = 0};
        uint64_t dropped = 0;
        CHECK_U64(mag_lines_feed(&lines, longest, cut, note, &h, &dropped), cut);
        CHECK_U64(mag_lines_feed(&lines, longest, MAG_LINE_MAX - cut, note, &h, &dropped),
                  MAG_LINE_MAX - cut);
        feed(&lines, &h, "xxx\nafter\n", &dropped);
        CHECK_STR(h.text, "after|");
        CHECK_U64(dropped, 1);
        CHECK_U64(mag_lines_feed(&lines, longest, MAG_LINE_MAX - 1, note, &h, &dropped),
                  MAG_LINE_MAX - 1);
        feed(&lines, &h, "\n", &dropped);
        CHECK_U64(h.count, 2); /* the longest that fits */
        CHECK_U64(dropped, 1);
    }
}

static void a_flood_without_an_end_is_one_dropped_line(void) {
    struct mag_lines lines = {0};
    struct heard h = {.used = 0};
    uint64_t dropped = 0;
    for (int i = 0; i < 10000; i++) {
        feed(&lines, &h, "[{},{},{},{},{},{},{},{},{},{}", &dropped);
    }
    feed(&lines, &h, "]\nmemarb\n", &dropped);
    CHECK_U64(dropped, 1);
    CHECK_STR(h.text, "memarb|");
}

static void a_reader_may_stop_and_go_on_where_it_stopped(void) {
    static const char text[] = "a\nb\nc\n";
    struct mag_lines lines = {0};
    struct heard h = {.stop_after = 2};
    uint64_t dropped = 0;
    size_t used = mag_lines_feed(&lines, text, strlen(text), note, &h, &dropped);
    CHECK_U64(used, 4);
    CHECK_STR(h.text, "a|b|");
    feed(&lines, &h, text + used, &dropped);
    CHECK_STR(h.text, "a|b|c|");
}

TAP_MAIN(TAP_CASE(lines_come_out_however_the_reads_cut_them),
         TAP_CASE(a_line_that_is_too_long_is_dropped_and_counted_once),
         TAP_CASE(a_flood_without_an_end_is_one_dropped_line),
         TAP_CASE(a_reader_may_stop_and_go_on_where_it_stopped));
