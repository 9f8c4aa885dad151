/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire.h"

#include <errno.h>
#include <unistd.h>

#include "tap.h"

static char seen[256];
static unsigned lines_seen, stop_after;
static size_t last_length;

static bool note(void *userdata, char *line, size_t length) {
    (void) userdata;
    CHECK_U64(strlen(line), length);
    (void) snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "[%.20s]", line);
    last_length = length;
    return ++lines_seen != stop_after;
}
static int feed(struct qmp_lines *l, const char *text) {
    static char copy[16384];
    size_t n = strlen(text);
    memcpy(copy, text, n);
    return qmp_lines_feed(l, copy, n, note, NULL);
}
static void start(struct qmp_lines *l, size_t max) {
    seen[0] = '\0';
    lines_seen = 0;
    stop_after = 0;
    qmp_lines_init(l, max);
}

static void lines_come_out_however_they_are_cut(void) {
    static const char text[] = "one\r\ntwo\n\r\nthree\r\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct qmp_lines l;
        start(&l, 4096);
        for (size_t at = 0; at < sizeof(text) - 1; at += step) {
            char part[32] = {0};
            size_t n = sizeof(text) - 1 - at;
            memcpy(part, text + at, n < step ? n : step);
            CHECK_I64(feed(&l, part), 0);
        }
        CHECK_STR(seen, "[one][two][][three]");
        CHECK(l.buf == NULL);
        qmp_lines_fini(&l);
    }
}
static void half_a_line_waits_and_its_memory_goes_with_it(void) {
    struct qmp_lines l;
    start(&l, 4096);
    CHECK_I64(feed(&l, "hal"), 0);
    CHECK_STR(seen, "");
    CHECK(l.buf != NULL);
    CHECK_I64(feed(&l, "f\n"), 0);
    CHECK_STR(seen, "[half]");
    CHECK(l.buf == NULL);
}
static void a_line_of_the_bound_passes_and_one_byte_more_does_not(void) {
    static char text[8192];
    for (size_t extra = 0; extra < 2; extra++) {
        struct qmp_lines l;
        start(&l, 5000);
        memset(text, 'x', sizeof(text));
        text[5000 + extra] = '\n';
        text[5001 + extra] = '\0';
        CHECK_I64(feed(&l, text), extra == 0 ? 0 : -EMSGSIZE);
        CHECK_U64(lines_seen, extra == 0 ? 1 : 0);
        qmp_lines_fini(&l);
    }
}
static void no_newline_for_ever_is_refused_at_the_bound(void) {
    struct qmp_lines l;
    int r = 0;
    unsigned fed = 0;
    start(&l, 5000);
    while (r == 0 && fed < 100) {
        r = feed(&l, "0123456789012345678901234567890123456789012345678901234567890123456789");
        fed++;
    }
    CHECK_I64(r, -EMSGSIZE);
    CHECK_U64(fed, 5000 / 70 + 1);
    qmp_lines_fini(&l);
}
static void a_stop_drops_the_rest(void) {
    struct qmp_lines l;
    start(&l, 4096);
    stop_after = 2;
    CHECK_I64(feed(&l, "a\nb\nc\n"), -ECANCELED);
    CHECK_STR(seen, "[a][b]");
    qmp_lines_fini(&l);
}
static void withdrawing_keeps_the_neighbours(void) {
    struct qmp_out out;
    qmp_out_reset(&out);
    memcpy(out.buf, "aaabbbccc", 9);
    out.used = 9;
    out.sent_total = 100;
    qmp_out_withdraw(&out, 103, 3);
    CHECK_U64(out.used, 6);
    CHECK(memcmp(out.buf, "aaaccc", 6) == 0);
}
static void a_flush_to_a_closed_descriptor_says_so(void) {
    struct qmp_out out;
    qmp_out_reset(&out);
    out.used = 3;
    CHECK_I64(qmp_out_flush(&out, -1), -EBADF);
    CHECK_U64(out.used, 3);
}

TAP_MAIN(TAP_CASE(lines_come_out_however_they_are_cut),
         TAP_CASE(half_a_line_waits_and_its_memory_goes_with_it),
         TAP_CASE(a_line_of_the_bound_passes_and_one_byte_more_does_not),
         TAP_CASE(no_newline_for_ever_is_refused_at_the_bound),
         TAP_CASE(a_stop_drops_the_rest),
         TAP_CASE(withdrawing_keeps_the_neighbours),
         TAP_CASE(a_flush_to_a_closed_descriptor_says_so));
