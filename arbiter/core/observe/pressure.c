/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pressure.c - the state of one resource: normal, soft, hard, critical.
 *
 * Three judges, and the worst of them counts:
 *   level     available below a watermark: that watermark's state.
 *   forecast  time left = available / falling slope. Under 20 s for 1 s: one state worse than the level, at most hard
 *             (gentle stage). Under 5 s for 0.5 s: critical (kill stage). Both only at a new low: available is at
 *             most 1 % above the least of the minute before, the newest 8 s left out. A garbage collector's sawtooth
 *             falls as steeply as a leak, but not to where it has not been (40 false alarms an hour without, 0.9
 *             with; algorithms 3, at 4 Hz).
 *   PSI       some avg10 of 10 %: one state worse than both, at most hard, and not while there is room: available at
 *             twice the soft watermark or more. A guest throttled at its own cgroup limit stalls on a roomy host.
 *
 *   I1  a worse state is entered at once
 *   I2  a state is left one step at a time, each step after available has stood a margin above the state's own
 *       watermark, and no judge has asked for it, for a calm time
 *   I3  PSI alone never makes critical, and nothing while there is room
 *   I4  a sample at the time of the last one, or before it, changes nothing
 *
 * The slope is an EWMA (0.3 per second) of the change between samples, from 0: as good as the best robust estimators
 * measured, with no buffer. A gap between samples starts it anew: nobody knows what happened in it. */
#include "pressure.h"

#include <string.h>

#include "bytes.h"

/* Gentle stage. Shorter: a balloon that moves 400 MiB/s comes too late; longer: no estimator can promise anything
 * beyond 30 s. Measured: 0 of 240 exhaustions missed, lead 6 s at least. */
#define GENTLE_LEFT_USEC    (20 * MA_USEC_PER_SEC)
#define GENTLE_CONFIRM_USEC (1 * MA_USEC_PER_SEC)
/* Kill stage. Shorter: the kill's memory comes back after the host is out; longer: what a balloon would have solved
 * costs a guest. Measured: lead 3 s at least, 0.9 false alarms an hour on bursts. */
#define KILL_LEFT_USEC    (5 * MA_USEC_PER_SEC)
#define KILL_CONFIRM_USEC (500 * MA_USEC_PER_MSEC)
/* New-low guard: eight slots of eight seconds; the present one and the one before it are too new to compare with. */
#define LOW_SLOT_USEC           (8 * MA_USEC_PER_SEC)
#define LOW_TOLERANCE_PERMYRIAD 10100U
/* The slope's memory: weight of a sample dt after the last is 3 dt / (7 s + 3 dt), 0.3 at 1 s. Smaller: bombs are
 * seen late; larger: noise makes alarms. Measured. */
#define SLOPE_NUMERATOR   3
#define SLOPE_DENOMINATOR 7
/* No sample for this long: suspended, stopped, or starved. Shorter: a slow host never has a slope; longer: a slope
 * across a hole in time. Guessed: twice the slowest sampling period that makes sense. */
#define GAP_USEC (10 * MA_USEC_PER_SEC)
/* The way back: this much above the watermark, for this long. Smaller or shorter: states flap, and with them
 * balloons; larger or longer: guests stay small after the need. The time is that of the simulator's give-back. */
#define LEAVE_DIVISOR   8U
#define LEAVE_MIN_BYTES (16 * MA_MIB)
#define LEAVE_CALM_USEC (10 * MA_USEC_PER_SEC)
/* Stall that counts: the kernel's own averages. Lower: any swapping raises the state; higher: without swap it speaks
 * when it is too late (first trigger at 31 MiB available in the lab). Guessed, from oomd's use. */
#define PSI_SOME_PERMYRIAD 1000U
/* Room, in soft watermarks: above it PSI is somebody's own limit. */
#define ROOM_FACTOR 2U

void ma_pressure_init(struct ma_pressure_state *state, const struct ma_row *row) {
    memset(state, 0, sizeof(*state));
    state->row = *row;
}

void ma_pressure_forget_trend(struct ma_pressure_state *state) {
    state->slope_bytes_per_s = 0;
    state->has_slope = false;
    state->exhausting_since_usec = 0;
    state->gentle_since_usec = 0;
}

uint64_t ma_pressure_time_left_usec(const struct ma_pressure_state *state) {
    if (!state->has_slope || state->slope_bytes_per_s >= 0) {
        return MA_USEC_INFINITY;
    }
    uint64_t falling = UINT64_C(0) - (uint64_t) state->slope_bytes_per_s;
    return ma_muldiv_sat(state->last_available_bytes, MA_USEC_PER_SEC, falling);
}

/* 0 says "not", so a moment at 0 is said as 1. */
static uint64_t moment(uint64_t usec) {
    return ma_max_u64(usec, 1);
}

static int64_t clamp_rate(__int128 rate) {
    const __int128 most = (__int128) MA_BYTES_MAX;
    return (int64_t) (rate > most ? most : rate < -most ? -most : rate);
}

static void update_slope(struct ma_pressure_state *s, const struct ma_pressure_input *in) {
    uint64_t dt_usec = ma_sub_floor0(in->now_usec, s->last_sample_usec);
    bool is_first = s->last_sample_usec == 0;
    if (!is_first && dt_usec > GAP_USEC) {
        ma_pressure_forget_trend(s);
        s->calm_since_usec = 0;
        is_first = true;
    }
    if (in->has_slope) {
        s->slope_bytes_per_s = clamp_rate(in->slope_bytes_per_s);
        s->has_slope = true;
    } else if (!is_first) {
        __int128 delta = (__int128) in->available_bytes - (__int128) s->last_available_bytes;
        __int128 rate = delta * (__int128) MA_USEC_PER_SEC / (__int128) dt_usec;
        __int128 part = SLOPE_NUMERATOR * (__int128) dt_usec;
        __int128 whole = SLOPE_DENOMINATOR * (__int128) MA_USEC_PER_SEC + part;
        __int128 old = s->slope_bytes_per_s;
        s->slope_bytes_per_s = clamp_rate(old + (clamp_rate(rate) - old) * part / whole);
        s->has_slope = true;
    }
}

/* Is available at most a little above the least of the last minute (its newest seconds left out)? With nothing to
 * compare with: yes. */
static bool is_new_low(const struct ma_pressure_state *s, uint64_t now_usec, uint64_t available) {
    uint64_t present = now_usec / LOW_SLOT_USEC;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < MA_NEW_LOW_SLOTS; i++) {
        uint64_t age = ma_sub_floor0(present, s->low_slot_usec[i] / LOW_SLOT_USEC);
        if (s->low_slot_usec[i] != 0 && age >= 2 && age < MA_NEW_LOW_SLOTS) {
            least = ma_min_u64(least, s->low_slot_bytes[i]);
        }
    }
    return least == UINT64_MAX || available <= ma_permyriad_of(least, LOW_TOLERANCE_PERMYRIAD);
}

static void note_low(struct ma_pressure_state *s, uint64_t now_usec, uint64_t available) {
    uint64_t present = now_usec / LOW_SLOT_USEC;
    size_t slot = (size_t) (present % MA_NEW_LOW_SLOTS);
    bool is_same = s->low_slot_usec[slot] != 0 && s->low_slot_usec[slot] / LOW_SLOT_USEC == present;
    if (!is_same) {
        s->low_slot_usec[slot] = moment(now_usec);
    }
    if (!is_same || available < s->low_slot_bytes[slot]) {
        s->low_slot_bytes[slot] = available;
    }
}

static enum ma_pressure judge_level(const struct ma_pressure_input *in) {
    if (in->available_bytes < in->critical_bytes) {
        return MA_PRESSURE_CRITICAL;
    }
    if (in->available_bytes < in->hard_bytes) {
        return MA_PRESSURE_HARD;
    }
    return in->available_bytes < in->soft_bytes ? MA_PRESSURE_SOFT : MA_PRESSURE_NORMAL;
}

static enum ma_pressure one_worse_to_hard(enum ma_pressure pressure) {
    switch (pressure) {
    case MA_PRESSURE_NORMAL:
        return MA_PRESSURE_SOFT;
    case MA_PRESSURE_SOFT:
        return MA_PRESSURE_HARD;
    case MA_PRESSURE_HARD:
    case MA_PRESSURE_CRITICAL:
    case MA_PRESSURE_COUNT:
    default:
        return pressure;
    }
}

/* Has `is_so` held for that long? Keeps since when. */
static bool is_confirmed(bool is_so, uint64_t *since_usec, uint64_t now_usec, uint64_t usec) {
    if (!is_so) {
        *since_usec = 0;
        return false;
    }
    if (*since_usec == 0) {
        *since_usec = moment(now_usec);
    }
    return ma_sub_floor0(now_usec, *since_usec) >= usec;
}

static enum ma_pressure judge_forecast(struct ma_pressure_state *s,
                                       const struct ma_pressure_input *in,
                                       enum ma_pressure level) {
    uint64_t left_usec = ma_pressure_time_left_usec(s);
    bool is_low = is_new_low(s, in->now_usec, in->available_bytes);
    uint64_t now_usec = in->now_usec;
    bool is_gentle = is_confirmed(is_low && left_usec < GENTLE_LEFT_USEC, &s->gentle_since_usec,
                                  now_usec, in->is_single_sample ? 0 : GENTLE_CONFIRM_USEC);
    bool is_kill = is_confirmed(is_low && left_usec < KILL_LEFT_USEC, &s->exhausting_since_usec,
                                now_usec, in->is_single_sample ? 0 : KILL_CONFIRM_USEC);
    if (is_kill) {
        return MA_PRESSURE_CRITICAL;
    }
    return is_gentle ? one_worse_to_hard(level) : level;
}

static enum ma_pressure judge_psi(const struct ma_pressure_input *in, enum ma_pressure pressure) {
    bool has_room = in->available_bytes >= ma_mul_sat(in->soft_bytes, ROOM_FACTOR);
    bool is_stalled = in->psi != NULL && (in->psi->has & MA_PSI_HAS_SOME_AVG10) != 0 &&
                      in->psi->some_avg10_permyriad >= PSI_SOME_PERMYRIAD;
    return is_stalled && !has_room ? one_worse_to_hard(pressure) : pressure;
}

/* Where the present state ends, margin included. */
static uint64_t leave_bytes(enum ma_pressure pressure, const struct ma_pressure_input *in) {
    uint64_t mark = pressure == MA_PRESSURE_CRITICAL ? in->critical_bytes
                    : pressure == MA_PRESSURE_HARD   ? in->hard_bytes
                                                     : in->soft_bytes;
    return mark + ma_max_u64(mark / LEAVE_DIVISOR, LEAVE_MIN_BYTES);
}

static void enter(struct ma_pressure_state *s, enum ma_pressure pressure, uint64_t now_usec) {
    s->pressure = pressure;
    s->since_usec = now_usec;
    s->calm_since_usec = 0;
}

static void
follow(struct ma_pressure_state *s, const struct ma_pressure_input *in, enum ma_pressure wanted) {
    if (wanted > s->pressure) {
        enter(s, wanted, in->now_usec);
        return;
    }
    bool is_calm = wanted < s->pressure && in->available_bytes > leave_bytes(s->pressure, in);
    if (is_confirmed(is_calm, &s->calm_since_usec, in->now_usec, LEAVE_CALM_USEC)) {
        enter(s, (enum ma_pressure)(s->pressure - 1), in->now_usec);
    }
}

enum ma_pressure ma_pressure_step(struct ma_pressure_state *state,
                                  const struct ma_pressure_input *input) {
    struct ma_pressure_input in = *input;
    if (state->last_sample_usec != 0 && in.now_usec <= state->last_sample_usec) {
        return state->pressure;
    }
    in.available_bytes = ma_min_u64(in.available_bytes, MA_BYTES_MAX);
    update_slope(state, &in);
    state->last_sample_usec = in.now_usec;
    state->last_available_bytes = in.available_bytes;
    enum ma_pressure level = judge_level(&in);
    enum ma_pressure wanted = judge_forecast(state, &in, level);
    note_low(state, in.now_usec, in.available_bytes);
    follow(state, &in, judge_psi(&in, wanted));
    return state->pressure;
}
