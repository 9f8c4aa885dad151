/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session.c - when the agent looks and speaks, by S1 to S5 of guest-agent/session.c; alarms and vetoes. No clock. */
#include "session.h"

#include <errno.h>

#include "tap.h"

#define SEC  MA_USEC_PER_SEC
#define MSEC MA_USEC_PER_MSEC
#define T0   (100000 * SEC)
/* Between two looks at rest. */
#define REST (1250 * MSEC)

static const struct mag_report calm = {
    .has = MAG_HAS_MEM_TOTAL | MAG_HAS_MEM_AVAILABLE | MAG_HAS_SWAP_IN | MAG_HAS_REFAULTS |
           MAG_HAS_OOM_KILLS | MAG_HAS_SOME_TOTAL | MAG_HAS_FULL_TOTAL,
    .mem_total_bytes = MA_GIB,
    .mem_available_bytes = MA_GIB / 2};

/* A guest whose figures the test sets, and the reports that its agent sends. */
struct guest {
    struct mag_session s;
    struct mag_report figures;
    uint64_t now, reports, looks, last, least_gap, greatest_gap;
    struct mag_report said;
};

static void begin(struct guest *g, bool has_triggers) {
    struct mag_alarm alarm = {.stall_usec = {100 * MSEC, 100 * MSEC},
                              .has_trigger = {has_triggers, has_triggers},
                              .page_bytes = 4096};
    *g = (struct guest){.figures = calm, .now = T0, .least_gap = UINT64_MAX};
    mag_session_init(&g->s, 99, &alarm, true);
}

static void note_report(struct guest *g) {
    if (g->reports > 0) {
        uint64_t gap = g->said.now_usec - g->last;
        g->least_gap = ma_min_u64(g->least_gap, gap);
        g->greatest_gap = ma_max_u64(g->greatest_gap, gap);
    }
    g->last = g->said.now_usec;
    g->reports++;
}

/* What the agent's loop does at this moment. */
static void turn(struct guest *g) {
    if (!mag_session_wants_sample(&g->s, g->now) && !mag_session_wants_report(&g->s, g->now)) {
        return;
    }
    mag_session_on_sample(&g->s, &g->figures, g->now);
    g->looks++;
    if (mag_session_wants_report(&g->s, g->now)) {
        mag_session_compose(&g->s, &g->said, g->now);
        mag_session_sent(&g->s, &g->said);
        note_report(g);
    }
}

/* Goes from wake to wake for so long; true wake-ups by time are counted as looks. */
static void run(struct guest *g, uint64_t usec) {
    uint64_t end = g->now + usec;
    g->reports = g->looks = 0;
    g->least_gap = UINT64_MAX;
    g->greatest_gap = 0;
    for (int i = 0; i < 100000; i++) {
        turn(g);
        uint64_t next = mag_session_next_usec(&g->s);
        if (next > end) {
            g->now = end;
            return;
        }
        g->now = ma_max_u64(next, g->now + 1);
    }
    TAP_FAIL("it does not come to rest");
}

static int hear(struct guest *g, const char *line) {
    return mag_session_on_line(&g->s, line, strlen(line), g->now);
}

static void without_a_host_nothing_happens(void) {
    struct guest g;
    begin(&g, true);
    run(&g, 3600 * SEC);
    CHECK_U64(g.looks + g.reports, 0);
    CHECK_U64(mag_session_next_usec(&g.s), UINT64_MAX); /* S4 */
}

static void at_rest_it_looks_less_than_once_a_second_and_reports_each_ten_seconds(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 100 * SEC);
    CHECK(g.looks + g.reports < 100); /* each costs a wake-up */
    CHECK(g.reports >= 9 && g.reports <= 11);
    CHECK(g.greatest_gap <= 10 * SEC); /* S2 */
    CHECK_U64(g.said.seq, g.reports);
    CHECK_U64(g.said.run, 99);
    CHECK_U64(g.said.token, 0);
}

static void a_change_is_reported_at_the_next_look(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 3 * SEC + 1);
    g.figures.mem_available_bytes -= MA_GIB / 50;
    run(&g, REST);
    CHECK_U64(g.reports, 1);
    CHECK_U64(g.said.mem_available_bytes, g.figures.mem_available_bytes);
    g.figures.mem_available_bytes -= MA_GIB / 1000; /* noise */
    run(&g, SEC);
    CHECK_U64(g.reports, 0);
}

static void a_trigger_is_reported_at_once_and_at_most_ten_times_a_second(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 2 * SEC + 300 * MSEC);
    mag_session_on_trigger(&g.s, MAG_ALARM_SOME, SEC, g.now);
    turn(&g);
    CHECK(g.said.is_alarm && !g.said.is_veto);
    CHECK_U64(g.said.now_usec, g.now);
    run(&g, 2 * SEC);
    CHECK(g.least_gap >= 100 * MSEC); /* S1 */
    CHECK(g.reports >= 18 && g.reports <= 21);
    mag_session_on_trigger(&g.s, MAG_ALARM_FULL, SEC, g.now);
    run(&g, 200 * MSEC);
    CHECK(g.said.is_alarm && g.said.is_veto);
    run(&g, 10 * SEC);
    CHECK(!g.said.is_alarm && !g.said.is_veto); /* it says so when it is over */
    run(&g, 10 * SEC);
    CHECK(g.reports <= 2);
}

static void the_hosts_rate_is_kept(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 2 * SEC);
    CHECK_I64(hear(&g, "memarb/1 rate token=5 now=1 fastest_msec=2000 slowest_msec=4000"), 0);
    run(&g, 40 * SEC);
    CHECK_U64(g.said.token, 5);
    CHECK(g.least_gap >= 2 * SEC && g.greatest_gap <= 4 * SEC);
    mag_session_on_trigger(&g.s, MAG_ALARM_FULL, SEC, g.now);
    for (int i = 0; i < 20; i++) {
        mag_session_on_trigger(&g.s, MAG_ALARM_SOME, SEC, g.now);
        run(&g, SEC);
        CHECK(g.least_gap >= 2 * SEC);
    }
    mag_session_on_connect(&g.s); /* another host has said nothing yet */
    run(&g, SEC);
    CHECK_U64(g.said.token, 0);
}

static void each_rate_is_answered_soon(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 5 * SEC);
    CHECK_I64(hear(&g, "memarb/1 rate token=6 now=1 fastest_msec=100 slowest_msec=10000"), 0);
    run(&g, 100 * MSEC);
    CHECK_U64(g.reports, 1);
    CHECK_U64(g.said.token, 6);
}

static void without_triggers_the_figures_raise_the_alarm(void) {
    struct guest g;
    begin(&g, false);
    mag_session_on_connect(&g.s);
    run(&g, 3 * SEC);
    g.figures.some_total_usec += 99 * MSEC;
    run(&g, REST + MSEC);
    CHECK(!g.said.is_alarm);
    g.figures.some_total_usec += 150 * MSEC;
    g.figures.full_total_usec += 150 * MSEC;
    run(&g, REST + MSEC);
    CHECK(g.said.is_alarm && g.said.is_veto);
    run(&g, 20 * SEC);
    CHECK(!g.said.is_alarm && !g.said.is_veto);
}

static void without_psi_memory_brought_back_is_an_alarm_and_no_veto(void) {
    struct guest g;
    begin(&g, false);
    g.figures.has &= ~(MAG_HAS_SOME_TOTAL | MAG_HAS_FULL_TOTAL);
    mag_session_on_connect(&g.s);
    run(&g, 3 * SEC);
    g.figures.swap_in_bytes += MA_GIB / 128;
    g.figures.refaults_count += MA_GIB / 256 / 4096;
    run(&g, REST + MSEC);
    CHECK(g.said.is_alarm && !g.said.is_veto);
}

static void an_oom_kill_is_alarm_and_veto(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    run(&g, 3 * SEC);
    g.figures.oom_kills_count++;
    run(&g, REST + MSEC);
    CHECK(g.said.is_alarm && g.said.is_veto);
    CHECK_U64(g.said.oom_kills_count, 1);
}

static void time_that_the_guest_slept_makes_no_alarm(void) {
    struct guest g;
    begin(&g, false);
    mag_session_on_connect(&g.s);
    run(&g, 3 * SEC);
    g.now += 3600 * SEC; /* suspended; its figures went on for a moment before */
    g.figures.some_total_usec += 10 * SEC;
    g.figures.oom_kills_count++;
    turn(&g);
    CHECK(!g.said.is_alarm && !g.said.is_veto);
    CHECK_U64(g.said.now_usec, g.now); /* but it is told at once */
    g.now -= 7200 * SEC;               /* a clock that jumps back stops nothing */
    run(&g, 5 * SEC);
    CHECK(g.looks >= 4 && g.reports >= 1);
}

static void a_squeeze_reaches_the_hook_once(void) {
    struct guest g;
    struct mag_squeeze squeeze;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=1000000 id=1 target=100 take=10 deadline_msec=2000"),
        -ESTALE);
    CHECK_I64(hear(&g, "memarb/1 rate token=5 now=1000000 fastest_msec=100 slowest_msec=10000"), 0);
    g.now += SEC;
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=1500000 id=1 target=100 take=10 deadline_msec=2000"),
        0);
    CHECK(mag_session_take_squeeze(&g.s, &squeeze));
    CHECK_U64(squeeze.target_bytes, 100);
    CHECK_U64(squeeze.deadline_usec, g.now + 1500 * MSEC); /* half a second was lost under way */
    CHECK(!mag_session_take_squeeze(&g.s, &squeeze));
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=2500000 id=1 target=100 take=10 deadline_msec=2000"),
        -ESTALE);
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=4 now=2500000 id=2 target=100 take=10 deadline_msec=2000"),
        -ESTALE);
    CHECK(!mag_session_take_squeeze(&g.s, &squeeze));
    run(&g, 200 * MSEC);
    CHECK((g.said.has & MAG_HAS_SQUEEZE) != 0);
    CHECK_U64(g.said.squeeze, 1);
    CHECK_U64(g.said.hook, MAG_HOOK_RUNNING);
}

static void a_squeeze_that_comes_too_late_reaches_nobody(void) {
    struct guest g;
    struct mag_squeeze squeeze;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    CHECK_I64(hear(&g, "memarb/1 rate token=5 now=1000000 fastest_msec=100 slowest_msec=10000"), 0);
    g.now += 5 * SEC;
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=1000000 id=1 target=1 take=1 deadline_msec=2000"),
        -ESTALE);
    CHECK(!mag_session_take_squeeze(&g.s, &squeeze)); /* S5 */
    run(&g, 200 * MSEC);
    CHECK_U64(g.said.hook, MAG_HOOK_KILLED);
}

static void the_hooks_word_is_passed_on(void) {
    struct guest g;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    CHECK_I64(hear(&g, "memarb/1 rate token=5 now=1000000 fastest_msec=100 slowest_msec=10000"), 0);
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=1000000 id=3 target=1 take=1 deadline_msec=2000"),
        0);
    mag_session_on_hook(&g.s, 2, MAG_HOOK_DONE, g.now); /* of an older one */
    run(&g, 200 * MSEC);
    CHECK_U64(g.said.hook, MAG_HOOK_RUNNING);
    mag_session_on_hook(&g.s, 3, MAG_HOOK_VETO, g.now);
    run(&g, 200 * MSEC);
    CHECK_U64(g.said.hook, MAG_HOOK_VETO);
    CHECK(g.said.is_veto && !g.said.is_alarm);
    run(&g, 10 * SEC);
    CHECK(!g.said.is_veto);
    g.s.has_hook = false;
    CHECK_I64(
        hear(&g, "memarb/1 squeeze token=5 now=99000000 id=4 target=1 take=1 deadline_msec=2000"),
        0);
    run(&g, 200 * MSEC);
    CHECK_U64(g.said.hook, MAG_HOOK_NONE);
}

static void reports_that_could_not_leave_are_replaced(void) {
    struct guest g;
    struct mag_report lost;
    begin(&g, true);
    mag_session_on_connect(&g.s);
    mag_session_on_sample(&g.s, &g.figures, g.now);
    for (int i = 0; i < 5; i++) {
        CHECK(mag_session_wants_report(&g.s, g.now));
        mag_session_compose(&g.s, &lost, g.now);
        CHECK_U64(lost.seq, 1); /* S3: none of these was said */
        g.now += SEC;
    }
    g.figures.mem_available_bytes = 1;
    turn(&g);
    CHECK_U64(g.said.seq, 1);
    CHECK_U64(g.said.mem_available_bytes, 1);
}

TAP_MAIN(TAP_CASE(without_a_host_nothing_happens),
         TAP_CASE(at_rest_it_looks_less_than_once_a_second_and_reports_each_ten_seconds),
         TAP_CASE(a_change_is_reported_at_the_next_look),
         TAP_CASE(a_trigger_is_reported_at_once_and_at_most_ten_times_a_second),
         TAP_CASE(the_hosts_rate_is_kept),
         TAP_CASE(each_rate_is_answered_soon),
         TAP_CASE(without_triggers_the_figures_raise_the_alarm),
         TAP_CASE(without_psi_memory_brought_back_is_an_alarm_and_no_veto),
         TAP_CASE(an_oom_kill_is_alarm_and_veto),
         TAP_CASE(time_that_the_guest_slept_makes_no_alarm),
         TAP_CASE(a_squeeze_reaches_the_hook_once),
         TAP_CASE(a_squeeze_that_comes_too_late_reaches_nobody),
         TAP_CASE(the_hooks_word_is_passed_on),
         TAP_CASE(reports_that_could_not_leave_are_replaced));
