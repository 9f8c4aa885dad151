/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The score: bounded, monotone in every figure, and no guest makes itself dearer by more than a quarter. */
#include "impact.h"
#include "bytes.h"
#include "cover.h"
#include "random-snapshot.h"

#define ROUNDS 20000

static uint64_t total(const struct ma_guest *g) {
    struct ma_impact impact;
    ma_impact_score(g, &impact);
    return impact.total;
}

static void random_guest(uint64_t *seed, struct ma_guest *g) {
    memset(g, 0, sizeof(*g));
    random_fields(seed, &ma_fields_guest, g);
    if (tap_below(seed, 4) == 0) { /* the far end */
        g->uptime_usec = tap_random(seed) >> 1;
        g->dirty_bytes = MA_BYTES_MAX;
        g->max_bytes = MA_BYTES_MAX;
        g->victim_count_24h = tap_random(seed) >> 1;
        g->config.restart_usec = tap_random(seed) >> 1;
    }
}

static void terms_add_up_within_their_bounds(void) {
    static const int64_t highest[MA_TERM_COUNT] = {
        [MA_TERM_WEIGHT] = 10000, [MA_TERM_BASE] = 1000,    [MA_TERM_AGE] = 1850,
        [MA_TERM_CPU] = 755,      [MA_TERM_IO] = 377,       [MA_TERM_FOOT] = 500,
        [MA_TERM_DIRTY] = 453,    [MA_TERM_RESTART] = 1000, [MA_TERM_HISTORY] = 2000};
    uint64_t seed = 20269;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct ma_guest g;
        struct ma_impact impact;
        int64_t sum = 0;
        random_guest(&seed, &g);
        ma_impact_score(&g, &impact);
        for (unsigned t = 0; t < MA_TERM_COUNT; t++) {
            CHECK(impact.terms[t] >= 0 && impact.terms[t] <= highest[t]);
            sum += t == MA_TERM_WEIGHT ? 0 : impact.terms[t];
        }
        int64_t driven =
            impact.terms[MA_TERM_CPU] + impact.terms[MA_TERM_IO] + impact.terms[MA_TERM_DIRTY];
        CHECK(driven * 4 <= sum - driven);
        CHECK_U64(impact.total, (uint64_t) (impact.terms[MA_TERM_WEIGHT] * sum));
        CHECK(impact.total >= 1 && impact.total <= MA_COVER_COST_MAX / 1024);
    }
}

/* One figure up by a random step. */
static void raise_one(uint64_t *seed, struct ma_guest *g, unsigned which) {
    uint64_t by = tap_random(seed) >> (20 + tap_below(seed, 40));
    switch (which) {
    case 0:
        g->uptime_usec += by;
        break;
    case 1:
        g->cpu_permyriad_of_vcpus = (uint32_t) ma_min_u64(10000, g->cpu_permyriad_of_vcpus + by);
        break;
    case 2:
        g->io_permyriad_of_p95 = (uint32_t) ma_min_u64(10000, g->io_permyriad_of_p95 + by);
        break;
    case 3:
        g->max_bytes = ma_min_u64(MA_BYTES_MAX, g->max_bytes + by);
        break;
    case 4:
        g->dirty_bytes = ma_min_u64(MA_BYTES_MAX, g->dirty_bytes + by);
        break;
    case 5:
        g->config.restart_usec += by;
        break;
    case 6:
        g->victim_count_24h += by;
        break;
    default:
        g->config.impact = (uint32_t) ma_min_u64(1000, g->config.impact + by);
        break;
    }
}

static void more_of_anything_never_costs_less(void) {
    uint64_t seed = 20270;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct ma_guest g;
        random_guest(&seed, &g);
        uint64_t before = total(&g);
        unsigned which = (unsigned) tap_below(&seed, 8);
        raise_one(&seed, &g, which);
        if (total(&g) < before) {
            TAP_FAIL("figure %u raised: %" PRIu64 " to %" PRIu64, which, before, total(&g));
        }
    }
}

/* Whatever a guest does to cpu, io, dirty pages and what it holds. */
static void a_guest_cannot_drive_its_score_by_more_than_a_quarter(void) {
    uint64_t seed = 20271;
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct ma_guest g;
        random_guest(&seed, &g);
        g.has |= MA_GUEST_HAS_MAX | MA_GUEST_HAS_CPU | MA_GUEST_HAS_IO | MA_GUEST_HAS_DIRTY;
        struct ma_guest idle = g;
        struct ma_guest busy = g;
        idle.cpu_permyriad_of_vcpus = idle.io_permyriad_of_p95 = 0;
        idle.dirty_bytes = idle.resident_bytes = 0;
        busy.cpu_permyriad_of_vcpus = busy.io_permyriad_of_p95 = 10000;
        busy.dirty_bytes = busy.resident_bytes = MA_BYTES_MAX;
        CHECK(total(&busy) * 4 <= total(&idle) * 5);
    }
}

static void first_is_below_every_number_and_never_above(void) {
    uint64_t seed = 20272;
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct ma_guest a;
        struct ma_guest b;
        random_guest(&seed, &a);
        random_guest(&seed, &b);
        a.config.has |= MA_CONFIG_HAS_IMPACT;
        a.config.impact_class = MA_IMPACT_FIRST;
        b.config.has |= MA_CONFIG_HAS_IMPACT;
        b.config.impact_class = MA_IMPACT_WEIGHT;
        b.config.impact = 1 + (uint32_t) tap_below(&seed, 1000);
        for (unsigned rung = 0; rung < MA_RUNG_COUNT; rung++) {
            CHECK(ma_impact_of_rung(total(&a), (enum ma_rung) rung) <
                  ma_impact_of_rung(total(&b), (enum ma_rung) rung));
        }
        struct ma_guest never = b;
        never.config.impact_class = MA_IMPACT_NEVER;
        CHECK(total(&never) >= total(&b));
    }
}

static void the_ladder_rises(void) {
    uint64_t seed = 20273;
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct ma_guest g;
        random_guest(&seed, &g);
        uint64_t whole = total(&g);
        for (unsigned rung = 1; rung < MA_RUNG_COUNT; rung++) {
            CHECK(ma_impact_of_rung(whole, (enum ma_rung)(rung - 1)) <
                  ma_impact_of_rung(whole, (enum ma_rung) rung));
        }
        CHECK_U64(ma_impact_of_rung(whole, MA_RUNG_KILL), whole);
    }
    CHECK_U64(ma_impact_of_rung(0, MA_RUNG_KILL), 1);
    CHECK_U64(ma_impact_of_rung(1, MA_RUNG_BALLOON_FREE), 1);
}

static void the_worked_example_is_right(void) {
    struct ma_guest g = {
        .has = MA_GUEST_HAS_UPTIME | MA_GUEST_HAS_MAX | MA_GUEST_HAS_CPU | MA_GUEST_HAS_DIRTY |
               MA_GUEST_HAS_VICTIM_COUNT,
        .uptime_usec = 86400 * MA_USEC_PER_SEC,
        .max_bytes = 4 * MA_GIB,
        .cpu_permyriad_of_vcpus = 5500,
        .dirty_bytes = 100 * MA_MIB,
        .victim_count_24h = 1,
        .config = {.has = MA_CONFIG_HAS_IMPACT | MA_CONFIG_HAS_RESTART,
                   .impact = 200,
                   .restart_usec = 30 * MA_USEC_PER_SEC},
    };
    struct ma_impact impact;
    ma_impact_score(&g, &impact);
    CHECK_I64(impact.terms[MA_TERM_AGE], 1259);
    CHECK_I64(impact.terms[MA_TERM_FOOT], 163);
    CHECK_I64(impact.terms[MA_TERM_CPU], 186);
    CHECK_I64(impact.terms[MA_TERM_DIRTY], 67);
    CHECK_U64(impact.total, 6210000);
    struct ma_guest nothing_known = {0};
    CHECK_U64(total(&nothing_known), 1000000);
}

TAP_MAIN(TAP_CASE(terms_add_up_within_their_bounds),
         TAP_CASE(more_of_anything_never_costs_less),
         TAP_CASE(a_guest_cannot_drive_its_score_by_more_than_a_quarter),
         TAP_CASE(first_is_below_every_number_and_never_above),
         TAP_CASE(the_ladder_rises),
         TAP_CASE(the_worked_example_is_right));
