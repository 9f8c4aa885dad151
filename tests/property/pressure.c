/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pressure states on generated traces: what runs out is seen in time, what only looks like it is mostly left alone,
 * and the promises of pressure.c hold on any walk. 256 GiB host, 4 samples a second, 600 s a trace. */
#include "pressure.h"
#include "bytes.h"
#include "tap.h"

#define HZ        4
#define SECONDS   600
#define SAMPLES   (SECONDS * HZ)
#define TRACES    40
#define STEP_USEC (MA_USEC_PER_SEC / HZ)
#define SOFT      (6 * MA_GIB)
#define HARD      (4 * MA_GIB)
#define CRITICAL  (2 * MA_GIB)
#define NOISE     (48 * MA_MIB)

enum kind {
    SLOW_LEAK,
    FAST_LEAK,
    ACCELERATING,
    BOMB,
    BOOT_STORM,
    SAW_LEAK,
    SAWTOOTH,
    DIURNAL,
    BURSTS,
    WALK,
    KINDS
};
static const char *const names[KINDS] = {
    "slow leak",        "fast leak", "accelerating", "bomb",   "boot storm",
    "leaking sawtooth", "sawtooth",  "diurnal",      "bursts", "walk"};

struct trace {
    int64_t available[SAMPLES];
    int n; /* samples until it is exhausted, or all */
};

/* A triangle: down for the whole period, up at once. */
static int64_t saw(int i, int period, int64_t amplitude) {
    return amplitude * (i % period) / period;
}

static int64_t value_at(enum kind kind, int i, const int64_t *p, int64_t *carry, uint64_t *seed) {
    int64_t t = i;
    int64_t gib = (int64_t) MA_GIB;
    int64_t start = 40 * gib;
    switch (kind) {
    case SLOW_LEAK:
        return start - t * (100 + p[0] % 100) * (int64_t) MA_MIB / HZ;
    case FAST_LEAK:
        return start - t * (300 + p[0] % 300) * (int64_t) MA_MIB / HZ;
    case ACCELERATING:
        return start - t * t * (20 + p[0] % 20) * (int64_t) MA_MIB / 40 / HZ;
    case BOMB:
        return start -
               ma_max_i64(0, t - 480 - p[0] % 40) * (1024 + p[1] % 3072) * (int64_t) MA_MIB / HZ;
    case BOOT_STORM:
        return start - ma_max_i64(0, t - 480) * (800 + p[0] % 1600) * (int64_t) MA_MIB / HZ;
    case SAW_LEAK:
        return start - saw(i, (int) (40 + p[0] % 200), (3 + p[1] % 9) * gib) -
               t * 50 * (int64_t) MA_MIB;
    case SAWTOOTH: /* its low is above the soft watermark: only the forecast can raise an alarm */
        return (3 + p[1] % 9 + 7 + p[2] % 3) * gib -
               saw(i, (int) (40 + p[0] % 200), (3 + p[1] % 9) * gib);
    case DIURNAL: {
        int64_t x = t % 1200 - 600; /* parabola for a wave */
        return 10 * gib + x * x * 20 * gib / 360000;
    }
    case BURSTS:
        if (tap_below(seed, 60 * HZ) == 0) {
            *carry = (2 + (int64_t) tap_below(seed, 6)) * gib;
        }
        *carry -= *carry / 40;
        return 20 * gib - *carry;
    case WALK:
        *carry += ((int64_t) tap_below(seed, 401) - 200) * (int64_t) MA_MIB - *carry / 50;
        return 20 * gib + *carry;
    case KINDS:
    default:
        return 0;
    }
}

static void make(struct trace *trace, enum kind kind, uint64_t *seed) {
    int64_t p[3] = {(int64_t) tap_below(seed, 1U << 20), (int64_t) tap_below(seed, 1U << 20),
                    (int64_t) tap_below(seed, 1U << 20)};
    int64_t carry = 0;
    for (trace->n = 0; trace->n < SAMPLES; trace->n++) {
        int64_t v = value_at(kind, trace->n, p, &carry, seed);
        if (v <= 0) {
            return;
        }
        v += (int64_t) tap_below(seed, 2 * NOISE) - (int64_t) NOISE;
        trace->available[trace->n] = ma_max_i64(v, 0);
    }
}

static struct ma_pressure_input input_at(uint64_t now_usec, uint64_t available) {
    return (struct ma_pressure_input){.now_usec = now_usec,
                                      .available_bytes = available,
                                      .soft_bytes = SOFT,
                                      .hard_bytes = HARD,
                                      .critical_bytes = CRITICAL};
}

struct seen {
    int first
        [MA_PRESSURE_COUNT]; /* sample of the first entry that did not go back until the end, or -1 */
    int alarms[MA_PRESSURE_COUNT]; /* entries */
};

static void run_trace(const struct trace *trace, struct seen *seen) {
    static const struct ma_row ram = {.kind = MA_ROW_RAM};
    struct ma_pressure_state state;
    enum ma_pressure last = MA_PRESSURE_NORMAL;
    ma_pressure_init(&state, &ram);
    memset(seen, 0, sizeof(*seen));
    memset(seen->first, -1, sizeof(seen->first));
    for (int i = 0; i < trace->n; i++) {
        struct ma_pressure_input in =
            input_at((uint64_t) (i + 1) * STEP_USEC, (uint64_t) trace->available[i]);
        enum ma_pressure now = ma_pressure_step(&state, &in);
        for (unsigned k = 1; k < MA_PRESSURE_COUNT; k++) {
            if ((unsigned) now >= k && (unsigned) last < k) {
                seen->first[k] = i;
                seen->alarms[k]++;
            }
        }
        last = now;
    }
}

/* The way down is seen: soft or worse at least 3 s before the end, critical at least 1 s before. */
static void what_runs_out_is_seen_in_time(void) {
    uint64_t seed = 20266;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned kind = SLOW_LEAK; kind <= SAW_LEAK; kind++) {
        int least[2] = {SAMPLES, SAMPLES};
        unsigned ran_out = 0;
        for (unsigned r = 0; r < TRACES; r++) {
            static struct trace trace;
            struct seen seen;
            make(&trace, (enum kind) kind, &seed);
            if (trace.n == SAMPLES) {
                continue;
            }
            ran_out++;
            run_trace(&trace, &seen);
            CHECK(seen.first[MA_PRESSURE_SOFT] >= 0 && seen.first[MA_PRESSURE_CRITICAL] >= 0);
            least[0] = (int) ma_min_i64(least[0], trace.n - seen.first[MA_PRESSURE_SOFT]);
            least[1] = (int) ma_min_i64(least[1], trace.n - seen.first[MA_PRESSURE_CRITICAL]);
        }
        (void) printf("# %s: %u exhausted, least lead of soft %d.%02d s, of critical %d.%02d s\n",
                      names[kind], ran_out, least[0] / HZ, least[0] % HZ * 25, least[1] / HZ,
                      least[1] % HZ * 25);
        CHECK(ran_out > TRACES / 2);
        CHECK(least[0] >= 3 * HZ);
        CHECK(least[1] >= 1 * HZ);
    }
}

/* Above the watermarks nothing is short: whatever is said there is a false alarm. An hour has 6 traces. */
static void what_only_looks_like_it_is_mostly_left_alone(void) {
    static const unsigned soft_per_hour[KINDS] = {
        [SAWTOOTH] = 6, [DIURNAL] = 1, [BURSTS] = 40, [WALK] = 6};
    static const unsigned critical_per_hour[KINDS] = {[BURSTS] = 2};
    uint64_t seed = 20267;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned kind = SAWTOOTH; kind < KINDS; kind++) {
        unsigned alarms[2] = {0, 0};
        for (unsigned r = 0; r < TRACES; r++) {
            static struct trace trace;
            struct seen seen;
            make(&trace, (enum kind) kind, &seed);
            run_trace(&trace, &seen);
            alarms[0] += (unsigned) seen.alarms[MA_PRESSURE_SOFT];
            alarms[1] += (unsigned) seen.alarms[MA_PRESSURE_CRITICAL];
        }
        (void) printf("# %s: %u soft and %u critical false alarms in %d h\n", names[kind],
                      alarms[0], alarms[1], TRACES * SECONDS / 3600);
        CHECK(alarms[0] * 3600 <= (soft_per_hour[kind]) * TRACES * SECONDS);
        CHECK(alarms[1] * 3600 <= (critical_per_hour[kind]) * TRACES * SECONDS);
    }
}

/* Any figures at any times: worse at once, better one step after a calm time, PSI never above hard. */
static void the_promises_hold_on_any_walk(void) {
    static const struct ma_row ram = {.kind = MA_ROW_RAM};
    uint64_t seed = 4;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned r = 0; r < 300; r++) {
        struct ma_pressure_state state;
        uint64_t now = 0;
        ma_pressure_init(&state, &ram);
        for (unsigned i = 0; i < 400; i++) {
            struct ma_psi psi = {.has = MA_PSI_HAS_SOME_AVG10,
                                 .some_avg10_permyriad = (uint32_t) tap_below(&seed, 3000)};
            struct ma_pressure_state before = state;
            now += tap_below(&seed, 3) == 0 ? 0 : tap_below(&seed, 3 * MA_USEC_PER_SEC);
            struct ma_pressure_input in =
                input_at(now, tap_random(&seed) >> (13 + tap_below(&seed, 20)));
            in.psi = tap_below(&seed, 2) == 0 ? &psi : NULL;
            enum ma_pressure is = ma_pressure_step(&state, &in);
            if (before.last_sample_usec != 0 && now == before.last_sample_usec) {
                CHECK(memcmp(&before, &state, sizeof(state)) == 0);
                continue;
            }
            CHECK(in.available_bytes >= CRITICAL || is == MA_PRESSURE_CRITICAL);
            CHECK(in.available_bytes >= HARD || is >= MA_PRESSURE_HARD);
            CHECK(in.available_bytes >= SOFT || is >= MA_PRESSURE_SOFT);
            CHECK((unsigned) is + 1 >= (unsigned) before.pressure);
            if (is < before.pressure) {
                CHECK(now - before.calm_since_usec >= 10 * MA_USEC_PER_SEC);
                CHECK_U64(state.since_usec, now);
            }
        }
    }
}

TAP_MAIN(TAP_CASE(what_runs_out_is_seen_in_time),
         TAP_CASE(what_only_looks_like_it_is_mostly_left_alone),
         TAP_CASE(the_promises_hold_on_any_walk));
