/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bytes.h"
#include "ktext.h"
#include "tap.h"

struct seen {
    unsigned n;
    size_t longest;
    char last[64];
    int answer;
};
static int note(void *userdata, const char *line) {
    struct seen *s = userdata;
    s->n++;
    s->longest = strlen(line) > s->longest ? strlen(line) : s->longest;
    (void) snprintf(s->last, sizeof(s->last), "%s", line);
    return s->answer;
}

static void last_line_without_end_is_seen(void) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    struct seen s = {0};
    CHECK_I64(ma_ktext_each_line_of("a\n\nbc", 5, buf, note, &s), 0);
    CHECK_U64(s.n, 3);
    CHECK_STR(s.last, "bc");
    s = (struct seen){0};
    CHECK_I64(ma_ktext_each_line_of("", 0, buf, note, &s), 0);
    CHECK_U64(s.n, 0);
}

static void long_line_is_cut_and_its_rest_dropped(void) {
    static char text[3 * MA_KTEXT_BUFFER_BYTES];
    char buf[MA_KTEXT_BUFFER_BYTES];
    struct seen s = {0};
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 5, "\nend\n", 5);
    CHECK_I64(ma_ktext_each_line_of(text, sizeof(text), buf, note, &s), 0);
    CHECK_U64(s.n, 2);
    CHECK_U64(s.longest, MA_KTEXT_BUFFER_BYTES - 1);
    CHECK_STR(s.last, "end");
}

static void reader_may_stop_or_fail(void) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    struct seen s = {.answer = 1};
    CHECK_I64(ma_ktext_each_line_of("a\nb\n", 4, buf, note, &s), 0);
    CHECK_U64(s.n, 1);
    s = (struct seen){.answer = -ENOBUFS};
    CHECK_I64(ma_ktext_each_line_of("a\nb\n", 4, buf, note, &s), -ENOBUFS);
}

static void every_cut_gives_the_same_lines_as_a_file(void) {
    static char text[20000];
    char buf[MA_KTEXT_BUFFER_BYTES];
    char name[] = "/tmp/memarb-text-XXXXXX";
    uint64_t seed = 20;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = tap_below(&seed, 40) == 0 ? '\n' : 'a';
    }
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    CHECK(write(fd, text, sizeof(text)) == (ssize_t) sizeof(text));
    struct seen in_memory = {0};
    struct seen in_file = {0};
    CHECK_I64(ma_ktext_each_line_of(text, sizeof(text), buf, note, &in_memory), 0);
    CHECK_I64(ma_ktext_each_line(fd, '\n', buf, note, &in_file), 0);
    CHECK_U64(in_file.n, in_memory.n);
    CHECK_U64(in_file.longest, in_memory.longest);
    CHECK(close(fd) == 0);
    CHECK_I64(ma_ktext_each_line(-1, '\n', buf, note, &in_file), -EBADF);
}

static void numbers_have_bounds(void) {
    uint64_t v = 7;
    const char *p = "18446744073709551615 x";
    CHECK(ma_ktext_u64(&p, &v) && v == UINT64_MAX);
    CHECK_STR(p, " x");
    static const char *const bad[] = {"18446744073709551616", "-1", "", "x",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < 5; i++) {
        p = bad[i];
        CHECK(!ma_ktext_u64(&p, &v));
    }
    CHECK(ma_ktext_kib("12 kB", &v) && v == 12 * MA_KIB);
    CHECK(ma_ktext_kib("1099511627776 kB", &v) && v == MA_BYTES_MAX);
    static const char *const bad_kib[] = {
        "1099511627777 kB", "12 MB", "12 kB x", "kB", "", "-4 kB"};
    for (size_t i = 0; i < 6; i++) {
        CHECK(!ma_ktext_kib(bad_kib[i], &v));
    }
    CHECK(ma_ktext_bytes("max\n", &v) && v == MA_KTEXT_UNLIMITED);
    CHECK(ma_ktext_bytes("4096\n", &v) && v == 4096);
    CHECK(!ma_ktext_bytes("maximum", &v) && !ma_ktext_bytes("18446744073709551615", &v));
    CHECK(!ma_ktext_bytes("12 34", &v) && !ma_ktext_bytes("", &v));
}

static void a_field_is_a_whole_word(void) {
    CHECK(ma_ktext_field("MemTotalX: 1", "MemTotal") == NULL);
    CHECK(ma_ktext_field("MemTotal", "MemTotal") == NULL);
    CHECK(ma_ktext_field("XMemTotal: 1", "MemTotal") == NULL);
    CHECK_STR(ma_ktext_field("MemTotal:\t 1 kB", "MemTotal"), "1 kB");
    CHECK_STR(ma_ktext_field("oom_kill 3", "oom_kill"), "3");
}

TAP_MAIN(TAP_CASE(last_line_without_end_is_seen),
         TAP_CASE(long_line_is_cut_and_its_rest_dropped),
         TAP_CASE(reader_may_stop_or_fail),
         TAP_CASE(every_cut_gives_the_same_lines_as_a_file),
         TAP_CASE(numbers_have_bounds),
         TAP_CASE(a_field_is_a_whole_word));
