/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an operator sees of a resource's state. */
#include "pressure.h"
#include "bytes.h"
#include "tap.h"

#define SEC      MA_USEC_PER_SEC
#define SOFT     (1000 * MA_MIB)
#define HARD     (600 * MA_MIB)
#define CRITICAL (300 * MA_MIB)

static struct ma_pressure_state state;
static struct ma_psi psi;

static void start(void) {
    static const struct ma_row ram = {.kind = MA_ROW_RAM};
    ma_pressure_init(&state, &ram);
    psi = (struct ma_psi){0};
}
static enum ma_pressure at(uint64_t usec, uint64_t mib) {
    struct ma_pressure_input in = {.now_usec = usec,
                                   .available_bytes = mib * MA_MIB,
                                   .soft_bytes = SOFT,
                                   .hard_bytes = HARD,
                                   .critical_bytes = CRITICAL,
                                   .psi = &psi,
                                   /* no forecast unless a test wants one */
                                   .has_slope = true};
    return ma_pressure_step(&state, &in);
}

static void a_watermark_is_entered_at_once(void) {
    start();
    CHECK(at(1 * SEC, 1000) == MA_PRESSURE_NORMAL);
    CHECK(at(2 * SEC, 999) == MA_PRESSURE_SOFT);
    CHECK(at(3 * SEC, 299) == MA_PRESSURE_CRITICAL);
    CHECK_U64(state.since_usec, 3 * SEC);
}

static void the_way_back_is_one_step_after_a_calm_time(void) {
    start();
    CHECK(at(1 * SEC, 100) == MA_PRESSURE_CRITICAL);
    for (unsigned s = 2; s <= 11; s++) {
        CHECK(at(s * SEC, 5000) == MA_PRESSURE_CRITICAL);
    }
    CHECK(at(12 * SEC, 5000) == MA_PRESSURE_HARD);
    for (unsigned s = 13; s <= 22; s++) {
        CHECK(at(s * SEC, 5000) == MA_PRESSURE_HARD);
    }
    CHECK(at(23 * SEC, 5000) == MA_PRESSURE_SOFT);
    for (unsigned s = 24; s <= 33; s++) {
        CHECK(at(s * SEC, 5000) == MA_PRESSURE_SOFT);
    }
    CHECK(at(34 * SEC, 5000) == MA_PRESSURE_NORMAL);
}

static void within_the_margin_nothing_is_left(void) {
    start();
    CHECK(at(1 * SEC, 999) == MA_PRESSURE_SOFT);
    for (unsigned s = 2; s < 60; s++) {
        CHECK(at(s * SEC, 1125) == MA_PRESSURE_SOFT); /* 1000 + 1/8: not above it */
    }
    for (unsigned s = 60; s < 70; s++) {
        CHECK(at(s * SEC, 1126) == MA_PRESSURE_SOFT);
    }
    CHECK(at(70 * SEC, 1126) == MA_PRESSURE_NORMAL);
}

static void one_dip_starts_the_calm_time_anew(void) {
    start();
    CHECK(at(1 * SEC, 999) == MA_PRESSURE_SOFT);
    CHECK(at(5 * SEC, 2000) == MA_PRESSURE_SOFT);
    CHECK(at(10 * SEC, 1100) == MA_PRESSURE_SOFT);
    CHECK(at(16 * SEC, 2000) == MA_PRESSURE_SOFT);
    CHECK(at(25 * SEC, 2000) == MA_PRESSURE_SOFT);
    CHECK(at(26 * SEC, 2000) == MA_PRESSURE_NORMAL);
}

/* Throttled at its own cgroup limit, a guest stalls as if memory were short; the host has room. */
static void a_throttled_guest_on_a_roomy_host_leaves_it_normal(void) {
    start();
    psi = (struct ma_psi){.has = MA_PSI_HAS_SOME_AVG10, .some_avg10_permyriad = 9900};
    for (unsigned s = 1; s < 120; s++) {
        CHECK(at(s * SEC, 2000) == MA_PRESSURE_NORMAL);
    }
}

static void psi_raises_one_step_and_never_to_critical(void) {
    start();
    psi = (struct ma_psi){.has = MA_PSI_HAS_SOME_AVG10, .some_avg10_permyriad = 1000};
    CHECK(at(1 * SEC, 1999) == MA_PRESSURE_SOFT);
    CHECK(at(2 * SEC, 999) == MA_PRESSURE_HARD);
    CHECK(at(3 * SEC, 599) == MA_PRESSURE_HARD);
    for (unsigned s = 4; s < 60; s++) {
        CHECK(at(s * SEC, 300) == MA_PRESSURE_HARD);
    }
}

static void psi_below_the_mark_or_unknown_says_nothing(void) {
    start();
    psi = (struct ma_psi){.has = MA_PSI_HAS_SOME_AVG10, .some_avg10_permyriad = 999};
    CHECK(at(1 * SEC, 1500) == MA_PRESSURE_NORMAL);
    psi = (struct ma_psi){.has = 0, .some_avg10_permyriad = 9999};
    CHECK(at(2 * SEC, 1500) == MA_PRESSURE_NORMAL);
}

static enum ma_pressure with_slope(uint64_t usec, uint64_t mib, int64_t mib_per_s, bool is_single) {
    struct ma_pressure_input in = {.now_usec = usec,
                                   .available_bytes = mib * MA_MIB,
                                   .soft_bytes = SOFT,
                                   .hard_bytes = HARD,
                                   .critical_bytes = CRITICAL,
                                   .has_slope = true,
                                   .slope_bytes_per_s = mib_per_s * (int64_t) MA_MIB,
                                   .is_single_sample = is_single};
    return ma_pressure_step(&state, &in);
}

static void running_out_is_confirmed_before_it_counts(void) {
    start();
    CHECK(with_slope(1 * SEC, 4000, -300, false) == MA_PRESSURE_NORMAL);
    CHECK(with_slope(1 * SEC + SEC / 2, 3900, -300, false) == MA_PRESSURE_NORMAL);
    CHECK(with_slope(2 * SEC, 3800, -300, false) == MA_PRESSURE_SOFT);
    CHECK(with_slope(3 * SEC, 3700, -900, false) == MA_PRESSURE_SOFT); /* 4.1 s left */
    CHECK(with_slope(3 * SEC + SEC / 2, 3300, -900, false) == MA_PRESSURE_CRITICAL);
}

static void one_snapshot_alone_needs_no_confirmation(void) {
    start();
    CHECK(with_slope(0, 4000, -300, true) == MA_PRESSURE_SOFT);
    start();
    CHECK(with_slope(0, 900, -50, true) == MA_PRESSURE_HARD);
    start();
    CHECK(with_slope(0, 4000, -900, true) == MA_PRESSURE_CRITICAL);
    start();
    CHECK(with_slope(0, 4000, -100, true) == MA_PRESSURE_NORMAL);
    CHECK_U64(ma_pressure_time_left_usec(&state), 40 * SEC);
}

static void a_fall_to_where_it_has_been_is_no_alarm(void) {
    start();
    for (unsigned s = 1; s <= 30; s++) { /* once down to 2000 and up again */
        CHECK(with_slope(s * SEC, s == 10 ? 2000 : 6000, 0, false) == MA_PRESSURE_NORMAL);
    }
    for (unsigned s = 31; s < 40; s++) {
        CHECK(with_slope(s * SEC, 6000 - (s - 30) * 400, -400, false) == MA_PRESSURE_NORMAL);
    }
    CHECK(with_slope(40 * SEC, 2020, -400, false) == MA_PRESSURE_NORMAL); /* now it counts... */
    CHECK(with_slope(41 * SEC, 1900, -400, false) == MA_PRESSURE_SOFT);   /* ...and is confirmed */
    CHECK(with_slope(42 * SEC, 1500, -400, false) == MA_PRESSURE_CRITICAL);
}

static void a_clock_that_stands_or_runs_back_changes_nothing(void) {
    start();
    CHECK(at(5 * SEC, 2000) == MA_PRESSURE_NORMAL);
    struct ma_pressure_state before = state;
    CHECK(at(5 * SEC, 1) == MA_PRESSURE_NORMAL);
    CHECK(at(4 * SEC, 1) == MA_PRESSURE_NORMAL);
    CHECK(memcmp(&before, &state, sizeof(state)) == 0);
    CHECK(at(5 * SEC + 1, 1) == MA_PRESSURE_CRITICAL);
}

static void a_gap_and_our_own_action_forget_the_trend(void) {
    start();
    struct ma_pressure_input in = {.now_usec = SEC, .available_bytes = 9000 * MA_MIB};
    (void) ma_pressure_step(&state, &in);
    in = (struct ma_pressure_input){.now_usec = 2 * SEC, .available_bytes = 8000 * MA_MIB};
    (void) ma_pressure_step(&state, &in);
    CHECK_I64(state.slope_bytes_per_s, -300 * (int64_t) MA_MIB);
    ma_pressure_forget_trend(&state);
    CHECK(ma_pressure_time_left_usec(&state) == MA_USEC_INFINITY);
    in = (struct ma_pressure_input){.now_usec = 3 * SEC, .available_bytes = 7000 * MA_MIB};
    (void) ma_pressure_step(&state, &in);
    CHECK(state.has_slope);
    in = (struct ma_pressure_input){.now_usec = 30 * SEC, .available_bytes = 1 * MA_MIB};
    (void) ma_pressure_step(&state, &in);
    CHECK(!state.has_slope);
}

TAP_MAIN(TAP_CASE(a_watermark_is_entered_at_once),
         TAP_CASE(the_way_back_is_one_step_after_a_calm_time),
         TAP_CASE(within_the_margin_nothing_is_left),
         TAP_CASE(one_dip_starts_the_calm_time_anew),
         TAP_CASE(a_throttled_guest_on_a_roomy_host_leaves_it_normal),
         TAP_CASE(psi_raises_one_step_and_never_to_critical),
         TAP_CASE(psi_below_the_mark_or_unknown_says_nothing),
         TAP_CASE(running_out_is_confirmed_before_it_counts),
         TAP_CASE(one_snapshot_alone_needs_no_confirmation),
         TAP_CASE(a_fall_to_where_it_has_been_is_no_alarm),
         TAP_CASE(a_clock_that_stands_or_runs_back_changes_nothing),
         TAP_CASE(a_gap_and_our_own_action_forget_the_trend));
