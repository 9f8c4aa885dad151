/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* impact.c - what the loss of a guest costs.
 *
 *   impact = weight x (fixed + driven)              in micro-points; 1 point = an idle, fresh, default guest
 *   fixed  = base + age + foot + restart + history  in milli-points
 *   driven = cpu + io + dirty                       in milli-points
 *
 * | term    | range   | what it is                                                                               |
 * | weight  | 1,10..10000 | permille: impact="" x 10; `first` 1; `never` as 1000 (its balloon is the dearest)     |
 * | base    | 1000    | nothing is free; fewer victims are better                                                |
 * | age     | 0..1850 | 120 x log2(1 + minutes up): work lost grows, but a year is not 365 days (1850: 30 days)  |
 * | foot    | 0..500  | 40 x log2(1 + 4 x GiB of its maximum): time to warm up again. Logarithmic, for a cost    |
 * |         |         | linear in size would make every ratio of memory to cost equal                            |
 * | restart | 0..1000 | declared seconds until it is back                                                        |
 * | history | 0..2000 | 400 for each loss in 24 h: the same guest must not always pay                            |
 * | cpu     | <= 12 % of fixed | busy vCPUs, in steps of 5 %                                                     |
 * | io      | <= 6 % of fixed  | rate against its own 95th percentile, in steps of 5 %                           |
 * | dirty   | <= 7.1 % of fixed | 30 x log2(1 + MiB) of unflushed page cache: data at risk                       |
 *
 * I1  driven <= fixed / 4, whatever a guest does: it cannot raise its score by more than a quarter by being busy.
 *     The three keep their raw proportions (1000 : 500 : 600) and are scaled by fixed / (4 x 2100), not cut: a cut
 *     would make all guests above a quarter of a CPU look alike.
 * I2  the sum is monotone in every figure: each term is, and driven grows with fixed too.
 * I3  `first` < every numeric impact: 1 x (6350 + 1587) < 10 x 1000.
 * I4  1 <= total <= 10000 x 7937 < MA_COVER_COST_MAX / 1024; no rounding between terms and total.
 *
 * The foot term looks at the guest's maximum, which the operator sets, and only without it at what is resident: a
 * bomb must not become dearer by growing. Figures that are not known count as 0.
 *
 * Worked example: impact=200, up 1 day, 4 GiB, restart 30 s, lost once today, 55 % of its vCPUs busy, 100 MiB dirty:
 * base 1000, age 120 x log2(1441) = 1259, foot 40 x log2(17) = 163, restart 30, history 400: fixed 2852.
 * cpu 2852 x 550 / 8400 = 186, dirty 2852 x 199 / 8400 = 67. Sum 3105 x weight 2000 = 6210000: 6.21 points. */
#include "impact.h"

#include <assert.h>

#include "bytes.h"
#include "cover.h"

/* Milli-points. Base is the unit of all others. The rest: too small, and the operator's view of what a loss costs
 * does not show beside base; too large, and one term decides alone. Guessed, after the analogy of the 2.6 kernel's
 * badness; tried in the simulator. */
#define BASE_MILLI         1000U
#define AGE_PER_DOUBLING   120U
#define AGE_MAX_MILLI      1850U
#define FOOT_PER_DOUBLING  40U
#define FOOT_MAX_MILLI     500U
#define RESTART_MAX_MILLI  1000U
#define HISTORY_PER_LOSS   400U
#define HISTORY_MAX_MILLI  2000U
#define CPU_MAX_MILLI      1000U
#define IO_MAX_MILLI       500U
#define DIRTY_PER_DOUBLING 30U
#define DIRTY_MAX_MILLI    600U
/* What all driven terms together may be of the fixed ones: 1/4 (design promise). */
#define DRIVEN_DIVISOR (4U * (CPU_MAX_MILLI + IO_MAX_MILLI + DIRTY_MAX_MILLI))
/* Steps in which cpu and io count. Smaller: a decision flips with noise; larger: busy and idle look alike. */
#define DRIVEN_STEP_PERMYRIAD 500U

#define WEIGHT_FIRST_PERMILLE 1U
#define PERMILLE_PER_IMPACT   10U

#define FIXED_MAX_MILLI                                                                            \
    (BASE_MILLI + AGE_MAX_MILLI + FOOT_MAX_MILLI + RESTART_MAX_MILLI + HISTORY_MAX_MILLI)
#define SUM_MAX_MILLI (FIXED_MAX_MILLI + FIXED_MAX_MILLI / 4)
static_assert(WEIGHT_FIRST_PERMILLE * SUM_MAX_MILLI < PERMILLE_PER_IMPACT * BASE_MILLI, "I3");
static_assert((uint64_t) PERMILLE_PER_IMPACT * MA_IMPACT_MAX * SUM_MAX_MILLI <=
                  MA_COVER_COST_MAX / 1024,
              "I4");

#define LOG2_BITS 16
/* Before so many bits are known no term is. */
#define LOG2_BITS_LEAST 5U

/* One more bit of a logarithm: the mantissa (1.0 = 2^63) squared, and whether it passed 2. */
static uint64_t next_bit(uint64_t *mantissa) {
    unsigned __int128 square = (unsigned __int128) *mantissa * *mantissa >> 63;
    uint64_t has_passed = (uint64_t) (square >> 64);
    *mantissa = (uint64_t) (square >> has_passed);
    return has_passed;
}

/* log2(v) x 2^16 less `less`, x per_doubling / 2^16, all rounded down; v >= 1. Bit by bit, and monotone, for every step is.
 * Ends as soon as no bit to come can change the result, which is after half of them mostly: this is what scoring a
 * thousand guests consists of. */
static uint64_t log2_times(uint64_t v, uint64_t less, uint64_t per_doubling) {
    uint64_t result = 63U - (unsigned) __builtin_clzll(v);
    uint64_t mantissa = v << (63U - result);
    for (unsigned i = 0; i < LOG2_BITS_LEAST; i++) {
        result = result * 2 + next_bit(&mantissa);
    }
    for (unsigned left = LOG2_BITS - LOG2_BITS_LEAST; left > 0; left--) {
        uint64_t lowest = (result << left) - less;
        uint64_t highest = lowest + (UINT64_C(1) << left) - 1;
        uint64_t term = lowest * per_doubling >> LOG2_BITS;
        if (term == highest * per_doubling >> LOG2_BITS) {
            return term;
        }
        result = result * 2 + next_bit(&mantissa);
    }
    return (result - less) * per_doubling >> LOG2_BITS;
}

/* per_doubling x log2(1 + value / 2^unit_bits), at most max. */
static uint64_t log_term(uint64_t value, unsigned unit_bits, uint64_t per_doubling, uint64_t max) {
    uint64_t sum = (UINT64_C(1) << unit_bits) + ma_min_u64(value, MA_BYTES_MAX);
    uint64_t doublings = 63U - (unsigned) __builtin_clzll(sum) - unit_bits;
    if (value == 0 || doublings * per_doubling >= max) {
        return value == 0 ? 0 : max;
    }
    return ma_min_u64(log2_times(sum, (uint64_t) unit_bits << LOG2_BITS, per_doubling), max);
}

static uint64_t weight_permille(const struct ma_guest_config *config) {
    if ((config->has & MA_CONFIG_HAS_IMPACT) == 0) {
        return (uint64_t) PERMILLE_PER_IMPACT * MA_IMPACT_DEFAULT;
    }
    switch (config->impact_class) {
    case MA_IMPACT_FIRST:
        return WEIGHT_FIRST_PERMILLE;
    case MA_IMPACT_NEVER:
        return (uint64_t) PERMILLE_PER_IMPACT * MA_IMPACT_MAX;
    case MA_IMPACT_WEIGHT:
    default:
        return PERMILLE_PER_IMPACT * ma_clamp_u64(config->impact, 1, MA_IMPACT_MAX);
    }
}

static uint64_t known(uint32_t has, uint32_t bit, uint64_t value) {
    return (has & bit) != 0 ? value : 0;
}

/* A share of full, in steps, as milli-points up to max. */
static uint64_t step_term(uint64_t permyriad, uint64_t max_milli) {
    uint64_t stepped =
        ma_round_down(ma_min_u64(permyriad, MA_PERMYRIAD_FULL), DRIVEN_STEP_PERMYRIAD);
    return ma_permyriad_of(max_milli, stepped);
}

static uint64_t foot_bytes(const struct ma_guest *g) {
    if ((g->has & MA_GUEST_HAS_MAX) != 0) {
        return g->max_bytes;
    }
    return ma_add_sat(known(g->has, MA_GUEST_HAS_RESIDENT, g->resident_bytes),
                      known(g->has, MA_GUEST_HAS_HUGEPAGES, g->hugepage_bytes));
}

void ma_impact_score(const struct ma_guest *guest, struct ma_impact *ret) {
    const struct ma_guest *g = guest;
    uint64_t minutes = known(g->has, MA_GUEST_HAS_UPTIME, g->uptime_usec) / (60 * MA_USEC_PER_SEC);
    uint64_t losses = known(g->has, MA_GUEST_HAS_VICTIM_COUNT, g->victim_count_24h);
    uint64_t restart_s =
        known(g->config.has, MA_CONFIG_HAS_RESTART, g->config.restart_usec) / MA_USEC_PER_SEC;
    uint64_t terms[MA_TERM_COUNT] = {
        [MA_TERM_WEIGHT] = weight_permille(&g->config),
        [MA_TERM_BASE] = BASE_MILLI,
        [MA_TERM_AGE] = log_term(minutes, 0, AGE_PER_DOUBLING, AGE_MAX_MILLI),
        [MA_TERM_FOOT] = log_term(foot_bytes(g), 28, FOOT_PER_DOUBLING, FOOT_MAX_MILLI),
        [MA_TERM_RESTART] = ma_min_u64(restart_s, RESTART_MAX_MILLI),
        [MA_TERM_HISTORY] = ma_min_u64(ma_mul_sat(losses, HISTORY_PER_LOSS), HISTORY_MAX_MILLI),
    };
    uint64_t fixed = terms[MA_TERM_BASE] + terms[MA_TERM_AGE] + terms[MA_TERM_FOOT] +
                     terms[MA_TERM_RESTART] + terms[MA_TERM_HISTORY];
    uint64_t cpu =
        step_term(known(g->has, MA_GUEST_HAS_CPU, g->cpu_permyriad_of_vcpus), CPU_MAX_MILLI);
    uint64_t io = step_term(known(g->has, MA_GUEST_HAS_IO, g->io_permyriad_of_p95), IO_MAX_MILLI);
    uint64_t dirty = log_term(known(g->has, MA_GUEST_HAS_DIRTY, g->dirty_bytes), 20,
                              DIRTY_PER_DOUBLING, DIRTY_MAX_MILLI);
    terms[MA_TERM_CPU] = fixed * cpu / DRIVEN_DIVISOR;
    terms[MA_TERM_IO] = fixed * io / DRIVEN_DIVISOR;
    terms[MA_TERM_DIRTY] = fixed * dirty / DRIVEN_DIVISOR;
    uint64_t sum = fixed + terms[MA_TERM_CPU] + terms[MA_TERM_IO] + terms[MA_TERM_DIRTY];
    for (unsigned i = 0; i < MA_TERM_COUNT; i++) {
        ret->terms[i] = (int64_t) terms[i];
    }
    ret->total = terms[MA_TERM_WEIGHT] * sum;
}

uint64_t ma_impact_of_rung(uint64_t impact_total, enum ma_rung rung) {
    /* Permille of the whole. What matters is the order and the gap between what a guest hardly notices and what it
     * does not survive; the figures are those that the planners were compared with. */
    static const uint16_t permille[MA_RUNG_COUNT] = {
        [MA_RUNG_BALLOON_FREE] = 2, [MA_RUNG_BALLOON_CACHE] = 20,    [MA_RUNG_RESIZE] = 40,
        [MA_RUNG_RECLAIM] = 60,     [MA_RUNG_BALLOON_WORKING] = 250, [MA_RUNG_PAUSE] = 450,
        [MA_RUNG_SAVE] = 600,       [MA_RUNG_SHUTDOWN] = 850,        [MA_RUNG_KILL] = 1000,
    };
    unsigned part = (unsigned) rung < MA_RUNG_COUNT ? permille[rung] : 1000U;
    return ma_max_u64(ma_muldiv_sat(impact_total, part, 1000), 1);
}
