/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* figures.c - records as libvirt 9.0 hands them out, and records as no honest guest would write them. */

#include "figures.h"

#include "bytes.h"
#include "tap.h"

static void clamps_what_a_guest_says(void) {
    static const struct {
        uint64_t kib;
        uint64_t max_bytes;
        uint64_t want;
        bool is_absurd;
    } rows[] = {
        {786432, 768 * MA_MIB, 768 * MA_MIB, false},
        {0, MA_GIB, 0, false},
        {524288, MA_GIB, 512 * MA_MIB, false},
        {1048577, MA_GIB, MA_GIB, true},
        {UINT64_C(18014394215563264), 768 * MA_MIB, 0, true}, /* seen: -4397241204736 bytes */
        {UINT64_C(18014398509481983), MA_GIB, 0, true},       /* -1 KiB */
        {UINT64_MAX, MA_GIB, 0, true},
        {MA_BYTES_MAX / MA_KIB, 0, MA_BYTES_MAX, false},
        {MA_BYTES_MAX / MA_KIB + 1, 0, MA_BYTES_MAX, true},
        {4096, 0, 4 * MA_MIB, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_absurd;
        CHECK_U64(lv_clamp_actual(rows[i].kib, rows[i].max_bytes, &is_absurd), rows[i].want);
        CHECK_U64(is_absurd, rows[i].is_absurd);
    }
}

struct sample {
    virTypedParameterPtr params;
    int n;
    int max;
};

static void add(struct sample *s, const char *name, unsigned long long value) {
    CHECK(virInitialize() == 0); /* its typed parameters reset an error object that must be there */
    CHECK(virTypedParamsAddULLong(&s->params, &s->n, &s->max, name, value) == 0);
}

static struct ma_source_figures
read_at(struct sample *s, uint64_t now_usec, struct lv_figures_memory *m) {
    struct ma_source_figures f;
    lv_figures_read(s->params, s->n, now_usec, m, &f);
    virTypedParamsFree(s->params, s->n);
    *s = (struct sample){0};
    return f;
}

static struct sample usual(uint64_t update, uint64_t swap_in_kib) {
    struct sample s = {0};
    add(&s, "balloon.current", 131072);
    add(&s, "balloon.maximum", 131072);
    add(&s, "balloon.swap_in", swap_in_kib);
    add(&s, "balloon.swap_out", 0);
    add(&s, "balloon.major_fault", 3);
    add(&s, "balloon.unused", 20000);
    add(&s, "balloon.available", 100000);
    add(&s, "balloon.usable", 50000);
    add(&s, "balloon.disk_caches", 1000);
    add(&s, "balloon.last-update", update);
    add(&s, "cpu.time", 5000000);
    return s;
}

static void ages_by_the_moving_of_the_guests_clock(void) {
    struct lv_figures_memory m = {.has_balloon = true, .max_bytes = 128 * MA_MIB};
    struct sample s = usual(1700000000, 0);
    struct ma_source_figures f = read_at(&s, 10 * MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.has & MA_STATS_HAS_AGE, 0); /* it may be from its boot */
    CHECK_U64(f.stats.claimed_available_bytes, 50000 * MA_KIB);
    s = usual(1700000005, 8);
    f = read_at(&s, 12 * MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.age_usec, 0);
    CHECK((f.stats.has & MA_STATS_HAS_AGE) != 0);
    CHECK_U64(f.stats.claimed_swap_in_bytes_per_s, 4 * MA_KIB);
    s = usual(1700000005, 8);
    f = read_at(&s, 20 * MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.age_usec, 8 * MA_USEC_PER_SEC);
    CHECK_U64(f.stats.claimed_swap_in_bytes_per_s, 4 * MA_KIB); /* of its last report */
    s = usual(1600000000, 8);                                   /* the host's clock was set back */
    f = read_at(&s, 21 * MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.age_usec, 0);
    CHECK_U64(f.cpu_time_usec, 5000);
}

static void a_counter_that_falls_says_nothing(void) {
    struct lv_figures_memory m = {.has_balloon = true, .max_bytes = 128 * MA_MIB};
    struct sample s = usual(1, 1000);
    (void) read_at(&s, MA_USEC_PER_SEC, &m);
    s = usual(2, 10);
    struct ma_source_figures f = read_at(&s, 2 * MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.has & MA_STATS_HAS_SWAP_IN, 0);
    CHECK((f.stats.has & MA_STATS_HAS_SWAP_OUT) != 0);
}

static void unreported_is_unknown(void) {
    struct lv_figures_memory m = {.has_balloon = true, .max_bytes = 128 * MA_MIB};
    struct sample s = {0};
    add(&s, "balloon.current", 131072);
    add(&s, "balloon.last-update", 0);
    struct ma_source_figures f = read_at(&s, MA_USEC_PER_SEC, &m);
    CHECK(f.has_actual);
    CHECK_U64(f.stats.has, 0);
    CHECK(!f.has_cpu_time);
    f = read_at(&s, MA_USEC_PER_SEC, &m); /* nothing at all */
    CHECK(!f.has_actual);
}

static void no_amount_is_no_figure(void) {
    struct lv_figures_memory m = {.has_balloon = true, .max_bytes = 128 * MA_MIB};
    struct sample s = {0};
    add(&s, "balloon.last-update", 5);
    add(&s, "balloon.available", UINT64_MAX);
    add(&s, "balloon.usable", UINT64_C(18014394215563264));
    add(&s, "balloon.unused", 4);
    struct ma_source_figures f = read_at(&s, MA_USEC_PER_SEC, &m);
    CHECK_U64(f.stats.has, MA_STATS_HAS_FREE);
}

static void without_a_balloon_there_is_no_actual(void) {
    struct lv_figures_memory m = {.max_bytes = 128 * MA_MIB};
    struct sample s = {0};
    add(&s, "balloon.current", 131072);
    CHECK(!read_at(&s, MA_USEC_PER_SEC, &m).has_actual);
}

static void an_event_since_it_was_asked_is_newer(void) {
    struct lv_figures_memory m = {.has_balloon = true, .max_bytes = 128 * MA_MIB};
    static const struct {
        uint64_t said_usec;
        uint64_t want_mib;
    } rows[] = {{0, 128},
                {4 * MA_USEC_PER_SEC - 1, 128},
                {4 * MA_USEC_PER_SEC, 64},
                {5 * MA_USEC_PER_SEC, 64}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sample s = usual(1700000000, 0);
        struct ma_source_figures f = read_at(&s, 6 * MA_USEC_PER_SEC, &m);
        m.said_usec = rows[i].said_usec;
        m.said_kib = 64 * 1024;
        lv_figures_prefer_event(&m, 4 * MA_USEC_PER_SEC, &f);
        CHECK_U64(f.actual_bytes, rows[i].want_mib * MA_MIB);
    }
    struct ma_source_figures none = {.has_actual = false};
    lv_figures_prefer_event(&m, 0, &none);
    CHECK(!none.has_actual && none.actual_bytes == 0);
}

TAP_MAIN(TAP_CASE(clamps_what_a_guest_says),
         TAP_CASE(ages_by_the_moving_of_the_guests_clock),
         TAP_CASE(a_counter_that_falls_says_nothing),
         TAP_CASE(unreported_is_unknown),
         TAP_CASE(no_amount_is_no_figure),
         TAP_CASE(an_event_since_it_was_asked_is_newer),
         TAP_CASE(without_a_balloon_there_is_no_actual));
