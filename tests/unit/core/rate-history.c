/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is much for a guest, from its own past. */
#include "rate-history.h"

#include <stdlib.h>

#include "bytes.h"
#include "tap.h"

static void too_few_tell_nothing(void) {
    struct ma_rate_history h = {0};
    CHECK_U64(ma_rate_history_p95(&h), 0);
    for (unsigned i = 1; i < MA_RATE_COUNT_MIN; i++) {
        ma_rate_history_add(&h, MA_MIB);
        CHECK_U64(ma_rate_history_p95(&h), 0);
    }
    ma_rate_history_add(&h, MA_MIB);
    CHECK(ma_rate_history_p95(&h) > MA_MIB);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

/* Against sorting, over rates of all sizes. */
static void as_sorting_says_within_a_quarter_octave(void) {
    static uint64_t values[1000];
    const unsigned seed = 20260322;
    srandom(seed);
    (void) fprintf(stderr, "# seed %u\n", seed);
    for (unsigned round = 0; round < 200; round++) {
        struct ma_rate_history h = {0};
        size_t n = MA_RATE_COUNT_MIN + (size_t) random() % (1000 - MA_RATE_COUNT_MIN);
        unsigned bits = 12 + (unsigned) random() % 20;
        for (size_t i = 0; i < n; i++) {
            values[i] = ((uint64_t) random() % (UINT64_C(1) << bits)) + 1280;
            ma_rate_history_add(&h, values[i]);
        }
        qsort(values, n, sizeof(values[0]), by_value);
        uint64_t sorted = values[(n * 95 + 99) / 100 - 1];
        uint64_t p95 = ma_rate_history_p95(&h);
        CHECK(p95 > sorted);
        CHECK(p95 <= sorted + sorted / 4 + 1);
    }
}

static void the_ends(void) {
    struct ma_rate_history h = {0};
    for (unsigned i = 0; i < MA_RATE_COUNT_MIN; i++) {
        ma_rate_history_add(&h, 0);
    }
    CHECK_U64(ma_rate_history_p95(&h), 1280);
    for (unsigned i = 0; i < MA_RATE_COUNT_MAX; i++) {
        ma_rate_history_add(&h, UINT64_MAX);
    }
    CHECK_U64(ma_rate_history_p95(&h), UINT64_C(5) << 32);
}

/* Years of work at one rate, then another: the old one fades within days, and nothing overflows. */
static void the_past_fades(void) {
    struct ma_rate_history h = {0};
    for (unsigned i = 0; i < 1000000; i++) {
        ma_rate_history_add(&h, 100 * MA_MIB);
    }
    CHECK(ma_rate_history_p95(&h) >= 100 * MA_MIB);
    for (unsigned i = 0; i < 8 * MA_RATE_COUNT_MAX; i++) {
        ma_rate_history_add(&h, 10 * MA_KIB);
    }
    CHECK(ma_rate_history_p95(&h) < 16 * MA_KIB);
}

TAP_MAIN(TAP_CASE(too_few_tell_nothing),
         TAP_CASE(as_sorting_says_within_a_quarter_octave),
         TAP_CASE(the_ends),
         TAP_CASE(the_past_fades));
