/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard against a policy that proposes whatever a test puts into `proposal`. */
#include "guard.h"
#include "test-host.h"

static struct ma_plan_action proposal[40];
static size_t n_proposal;

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    (void) input;
    for (size_t k = 0; k < n_proposal; k++) {
        struct ma_plan_action *action = ma_plan_add_action(plan);

        if (action != NULL) {
            *action = proposal[k];
        }
    }
    return 0;
}

static const struct ma_policy hostile = {.name = "hostile", .summary = "", .propose = propose};

static void host(struct test_host *h, uint64_t available_mib) {
    test_host_init(h, 64, available_mib);
    h->policy = &hostile;
    n_proposal = 0;
    memset(proposal, 0, sizeof(proposal));
}

static struct ma_plan_action *suggest(uint32_t guest, enum ma_action action, uint64_t to_mib) {
    struct ma_plan_action *p = &proposal[n_proposal++];

    *p = (struct ma_plan_action){.has_guest = true,
                                 .guest = guest,
                                 .action = action,
                                 .to_bytes = to_mib * MA_MIB,
                                 .is_armed = true};
    return p;
}

static bool is_armed(const struct test_host *h, const struct ma_guest *guest, enum ma_action kind) {
    const struct ma_plan_action *action = test_host_action(h, guest, kind);

    return action != NULL && action->is_armed;
}

static void guard_p1_never_is_no_victim(void) {
    static struct test_host h;

    for (enum ma_action kind = MA_ACTION_PAUSE; kind <= MA_ACTION_KILL; kind++) {
        struct ma_guest *guest;

        host(&h, 100);
        guest = test_host_add_rigid(&h, "never", 8192);
        test_guest_class(guest, MA_IMPACT_NEVER);
        suggest(0, kind, 0);
        test_host_plan(&h);
        CHECK_U64(h.plan.n_actions, 0);
        CHECK_U64(test_host_trim(&h, guest, kind), MA_REASON_NEVER);
        test_host_fini(&h);
    }
}

static void guard_p1_no_limit_on_never(void) {
    static struct test_host h;

    host(&h, 100);
    test_guest_class(test_host_add(&h, "never", 8192, 100), MA_IMPACT_NEVER);
    suggest(0, MA_ACTION_CAP, 1024);
    suggest(0, MA_ACTION_MEMLOCK, 1);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    test_host_fini(&h);
}

static void guard_p2_never_below_guarantee(void) {
    static struct test_host h;
    struct ma_guest *guest;

    host(&h, 100);
    guest = test_host_add(&h, "idle", 8192, 8000);
    suggest(0, MA_ACTION_BALLOON, 1);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK_U64(h.plan.actions[0].to_bytes, 4096 * MA_MIB); /* half of its maximum */
    CHECK_U64(test_host_trim(&h, guest, MA_ACTION_BALLOON), MA_REASON_BELOW_GUARANTEE);
    test_host_fini(&h);
}

static void guard_p2_never_below_use_and_margin(void) {
    static struct test_host h;

    host(&h, 2500);                        /* not critical: see floors.c */
    test_host_add(&h, "busy", 8192, 2192); /* uses 6000 MiB */
    suggest(0, MA_ACTION_BALLOON, 5000);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK(h.plan.actions[0].to_bytes >= (6000 + 128 + 480) * MA_MIB);
    test_host_fini(&h);
}

/* 128 MiB are an eighth of 1 GiB, and would be half of a small guest, which then could give nothing. */
static void guard_p2_a_small_guest_keeps_a_small_margin(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add(&h, "small", 256, 190); /* uses 66 MiB */
    suggest(0, MA_ACTION_BALLOON, 140);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK_U64(h.plan.actions[0].to_bytes,
              140 * MA_MIB); /* above half of it, and above 66 + 32 + 8 % */
    test_host_fini(&h);
}

static void guard_p2_no_balloon_that_cannot_be_counted_on(void) {
    static const struct {
        enum ma_balloon_state state;
        uint32_t inhibited_by;
        uint64_t pinned_mib;
        uint64_t hugepage_mib;
        enum ma_reason reason;
    } rows[] = {
        {MA_BALLOON_ABSENT, 0, 0, 0, MA_REASON_NO_BALLOON},
        {MA_BALLOON_INHIBITED, 0, 0, 0, MA_REASON_INHIBITED},
        {MA_BALLOON_UNCOOPERATIVE, 0, 0, 0, MA_REASON_UNCOOPERATIVE},
        {MA_BALLOON_READY, MA_INHIBITOR_VFIO, 0, 0, MA_REASON_INHIBITED},
        {MA_BALLOON_READY, 0, 64, 0, MA_REASON_INHIBITED},
        {MA_BALLOON_READY, 0, 0, 2048, MA_REASON_INHIBITED},
    };

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        static struct test_host h;
        struct ma_guest *guest;

        host(&h, 100);
        guest = test_host_add(&h, "idle", 8192, 8000);
        guest->balloon.state = rows[k].state;
        guest->balloon.inhibited_by = rows[k].inhibited_by;
        guest->balloon.has |= MA_BALLOON_HAS_INHIBITED_BY;
        guest->pinned_bytes = rows[k].pinned_mib * MA_MIB;
        guest->hugepage_bytes = rows[k].hugepage_mib * MA_MIB;
        suggest(0, MA_ACTION_BALLOON, 5000);
        test_host_plan(&h);
        CHECK_U64(h.plan.n_actions, 0);
        CHECK_U64(test_host_trim(&h, guest, MA_ACTION_BALLOON), rows[k].reason);
        test_host_fini(&h);
    }
}

static void guard_p3_growth_stays_above_the_soft_watermark(void) {
    static struct test_host h;
    uint64_t soft;

    host(&h, 8192);
    soft = h.snapshot.settings.soft_watermark_bytes;
    test_host_add(&h, "small", 16384, 100)->actual_bytes = 8192 * MA_MIB;
    suggest(0, MA_ACTION_BALLOON, 16384);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK(h.snapshot.host.available_bytes - (h.plan.actions[0].to_bytes - 8192 * MA_MIB) >= soft);
    test_host_fini(&h);
}

static void guard_p3_no_growth_on_a_short_host(void) {
    static struct test_host h;
    struct ma_guest *guest;

    host(&h, 500);
    guest = test_host_add(&h, "small", 16384, 100);
    guest->actual_bytes = 8192 * MA_MIB;
    suggest(0, MA_ACTION_BALLOON, 16384);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    CHECK_U64(test_host_trim(&h, guest, MA_ACTION_BALLOON), MA_REASON_WOULD_SHORTEN);
    test_host_fini(&h);
}

static void guard_p3_reclaim_leaves_swap_its_watermark(void) {
    static struct test_host h;

    host(&h, 500);
    test_host_swap(&h, 8192, 2048);
    test_host_add(&h, "cold", 16384, 100);
    suggest(0, MA_ACTION_RECLAIM, 16384);
    test_host_plan(&h);
    for (size_t k = 0; k < h.plan.n_actions; k++) {
        uint64_t soft = h.snapshot.settings.soft_watermark_bytes / 8; /* swap is an eighth of ram */

        CHECK(2048 * MA_MIB - h.plan.actions[k].to_bytes >= soft);
    }
    test_host_fini(&h);
}

static void guard_p3_frees_stand_before_growth(void) {
    static struct test_host h;

    host(&h, 8192);
    test_host_add(&h, "small", 16384, 100)->actual_bytes = 8192 * MA_MIB;
    test_host_add(&h, "idle", 8192, 8000);
    suggest(0, MA_ACTION_BALLOON, 9000);
    suggest(1, MA_ACTION_BALLOON, 6000);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 2);
    CHECK_U64(h.plan.actions[0].guest, 1);
    CHECK_U64(h.plan.actions[1].guest, 0);
    test_host_fini(&h);
}

static void guard_p4_one_victim_at_a_time(void) {
    static struct test_host h;
    size_t n_armed;

    host(&h, 100);
    for (uint32_t i = 0; i < 5; i++) {
        test_host_add_rigid(&h, "rigid", 4096);
        suggest(i, MA_ACTION_KILL, 0);
    }
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 5);
    n_armed = test_host_count_victims(&h, true);
    CHECK_U64(n_armed, 1);
    CHECK_U64(h.plan.actions[1].withheld_because, MA_REASON_VICTIM_PENDING);
    test_host_fini(&h);
}

static void guard_p4_none_while_one_is_pending(void) {
    static struct test_host h;

    host(&h, 100);
    h.snapshot.settings.quiet_usec = 0;
    for (uint32_t i = 0; i < 3; i++) {
        test_host_add_rigid(&h, "rigid", 4096);
        suggest(i, MA_ACTION_KILL, 0);
    }
    test_host_tick(&h);
    test_host_tick(&h);
    CHECK_U64(test_host_count_victims(&h, true), 1);
    CHECK(h.state.pending.is_pending);
    for (int k = 0; k < 10; k++) { /* it is still there: its deadline is not over */
        test_host_tick(&h);
        CHECK_U64(test_host_count_victims(&h, true), 0);
    }
    test_host_fini(&h);
}

/* Nothing is left: a shutdown would be given up the moment after, and the next guest be taken, one a second. */
static void guard_p4_no_shutdown_that_is_given_up_at_once(void) {
    static struct test_host h;
    size_t n_armed = 0;

    host(&h, 0);
    h.snapshot.settings.quiet_usec = 0;
    for (uint32_t i = 0; i < 3; i++) {
        test_host_add_rigid(&h, "rigid", 4096);
        suggest(i, MA_ACTION_SHUTDOWN, 0);
    }
    for (int k = 0; k < 5; k++) {
        test_host_tick(&h);
        n_armed += test_host_count_victims(&h, true);
    }
    CHECK_U64(n_armed, 0);
    CHECK_U64(test_host_trim(&h, &h.guests[0], MA_ACTION_SHUTDOWN), MA_REASON_NO_ACTION_ALLOWED);
    test_host_fini(&h);
}

static void guard_p5_stale_and_missing_mean_hold(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add(&h, "stale", 8192, 8000)->sampled_age_usec = 60 * TEST_SECOND;
    test_host_add(&h, "no-resident", 8192, 8000)->has &= ~(uint32_t) MA_GUEST_HAS_RESIDENT;
    test_host_add(&h, "no-word", 8192, 8000)->stats.has = 0;
    test_host_add(&h, "old-word", 8192, 8000)->stats.age_usec = 60 * TEST_SECOND;
    for (uint32_t i = 0; i < 4; i++) {
        suggest(i, MA_ACTION_BALLOON, 4096);
    }
    suggest(0, MA_ACTION_KILL, 0);
    suggest(1, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    CHECK_U64(test_host_trim(&h, &h.guests[0], MA_ACTION_KILL), MA_REASON_STALE);
    CHECK_U64(test_host_trim(&h, &h.guests[1], MA_ACTION_KILL), MA_REASON_MISSING_FIGURES);
    test_host_fini(&h);
}

static void guard_p5_stale_host_arms_nothing(void) {
    static struct test_host h;

    host(&h, 100);
    h.snapshot.host.has |= MA_HOST_HAS_AGE;
    h.snapshot.host.sampled_age_usec = 60 * TEST_SECOND;
    test_host_add(&h, "idle", 8192, 8000);
    suggest(0, MA_ACTION_BALLOON, 4096);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK(!h.plan.actions[0].is_armed);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_HOST_STALE);
    test_host_fini(&h);
}

static void guard_p5_states_that_hold(void) {
    static const enum ma_guest_state states[] = {MA_GUEST_STARTING, MA_GUEST_SAVING,
                                                 MA_GUEST_MIGRATING, MA_GUEST_SHUTTING_DOWN,
                                                 MA_GUEST_CRASHED};

    for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
        static struct test_host h;

        host(&h, 100);
        test_host_add(&h, "moving", 8192, 8000)->state = states[k];
        suggest(0, MA_ACTION_BALLOON, 4096);
        suggest(0, MA_ACTION_KILL, 0);
        test_host_plan(&h);
        CHECK_U64(h.plan.n_actions, 0);
        test_host_fini(&h);
    }
}

static void guard_p11_nothing_above_the_armed_rung(void) {
    static const struct {
        enum ma_arm arm;
        bool balloon, pause;
    } rows[] = {{MA_ARM_OBSERVE, false, false},
                {MA_ARM_RECLAIM, true, false},
                {MA_ARM_PAUSE, true, true},
                {MA_ARM_KILL, true, true}};

    for (size_t k = 0; k < 4; k++) {
        static struct test_host h;
        struct ma_guest *rigid;
        struct ma_guest *idle;

        host(&h, 100);
        h.snapshot.settings.arm = rows[k].arm;
        test_host_slope(&h, -10);
        rigid = test_host_add_rigid(&h, "rigid", 16384);
        test_guest_growth(rigid, 100);
        idle = test_host_add(&h, "idle", 2048, 1000);
        suggest(0, MA_ACTION_PAUSE, 0);
        suggest(1, MA_ACTION_BALLOON, 1500);
        test_host_plan(&h);
        CHECK_U64(h.plan.n_actions, 2); /* shown all the same */
        CHECK_U64(is_armed(&h, idle, MA_ACTION_BALLOON), rows[k].balloon);
        CHECK_U64(is_armed(&h, rigid, MA_ACTION_PAUSE), rows[k].pause);
        test_host_fini(&h);
    }
}

static void guard_p11_kill_needs_kill(void) {
    static struct test_host h;

    host(&h, 100);
    h.snapshot.settings.arm = MA_ARM_PAUSE;
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_NOT_ARMED);
    test_host_fini(&h);
}

static void guard_p12_limits_of_incident_and_hour(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    h.state.in_incident = true;
    h.state.victims_in_incident = 3;
    test_host_plan(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_BREAKER_INCIDENT);
    h.state.victims_in_incident = 0;
    h.state.n_victims_logged = 3;
    for (size_t k = 0; k < 3; k++) {
        h.state.victim_usec[k] = h.snapshot.taken_at_usec - 1800 * TEST_SECOND;
    }
    h.snapshot.taken_at_usec += TEST_SECOND;
    test_host_plan(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_BREAKER_HOUR);
    h.snapshot.taken_at_usec += 3600 * TEST_SECOND;
    test_host_plan(&h);
    CHECK(h.plan.actions[0].is_armed);
    test_host_fini(&h);
}

static void guard_p12_poor_returns_disarm_the_rung(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    h.state.disarmed_actions = MA_ACTION_BIT(MA_ACTION_KILL);
    test_host_plan(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_BREAKER_RETURNS);
    ma_state_clear_breaker(&h.state);
    h.snapshot.taken_at_usec += TEST_SECOND;
    test_host_plan(&h);
    CHECK(h.plan.actions[0].is_armed);
    test_host_fini(&h);
}

static void guard_p13_quiet_time_and_second_sample(void) {
    static struct test_host h;
    int k;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    h.state.started_usec = h.snapshot.taken_at_usec;
    for (k = 0; k < 59; k++) {
        test_host_tick(&h);
        CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_QUIET_TIME);
    }
    test_host_tick(&h);
    CHECK(h.plan.actions[0].is_armed);
    test_host_fini(&h);

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_tick(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_ONE_SAMPLE);
    test_host_tick(&h);
    CHECK(h.plan.actions[0].is_armed);
    test_host_fini(&h);
}

static void guard_p13_late_tick_and_clock_jump(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_KILL, 0);
    h.snapshot.settings.arm = MA_ARM_OBSERVE;
    test_host_tick(&h);
    test_host_tick(&h);
    h.snapshot.settings.arm = MA_ARM_KILL;
    h.snapshot.taken_at_usec += 9 * TEST_SECOND; /* stopped under load */
    test_host_tick(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_LATE_TICK);
    for (int k = 0; k < 61; k++) {
        test_host_tick(&h);
    }
    h.snapshot.taken_at_usec -= 30 * TEST_SECOND;
    memset(&h.state.pending, 0, sizeof(h.state.pending));
    test_host_tick(&h);
    CHECK_U64(h.plan.actions[0].withheld_because, MA_REASON_LATE_TICK);
    test_host_fini(&h);
}

static void guard_p14_no_victim_where_gentle_suffices(void) {
    static struct test_host h;
    struct ma_guest *rigid;

    host(&h, 1000);
    rigid = test_host_add_rigid(&h, "rigid", 4096);
    test_host_add(&h, "idle", 32768, 30000);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    CHECK_U64(test_host_trim(&h, rigid, MA_ACTION_KILL), MA_REASON_GENTLE_SUFFICES);
    test_host_fini(&h);
}

static void guard_p14_no_victim_before_critical(void) {
    static struct test_host h;

    host(&h, 3000); /* below the reserve of 3277 MiB, above critical */
    test_host_add_rigid(&h, "rigid", 4096);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    test_host_fini(&h);
}

static void guard_p14_victims_stay_where_gentle_fails(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 4096);
    test_host_add(&h, "idle", 4096, 1500);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, true), 1);
    test_host_fini(&h);
}

static void guard_takes_out_garbage(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add(&h, "idle", 8192, 8000);
    suggest(77, MA_ACTION_KILL, 0);
    suggest(UINT32_MAX, MA_ACTION_BALLOON, 4);
    suggest(0, (enum ma_action) 4711, 0);
    suggest(0, MA_ACTION_RESUME, 0);
    suggest(0, MA_ACTION_REBALANCE, 0);
    suggest(0, MA_ACTION_BALLOON, 0)->to_bytes = UINT64_MAX;
    proposal[n_proposal++] = (struct ma_plan_action){.action = MA_ACTION_KILL};
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    CHECK_U64(h.plan.n_trims >= 7, true);
    test_host_fini(&h);
}

static void guard_computes_what_is_freed(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add(&h, "idle", 8192, 8000);
    suggest(0, MA_ACTION_BALLOON, 8000)->frees.mib[0] = 1000000;
    test_host_plan(&h);
    CHECK_I64(h.plan.actions[0].frees.mib[0], 192);
    test_host_fini(&h);
}

static void guard_each_guest_once(void) {
    static struct test_host h;

    host(&h, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    suggest(0, MA_ACTION_SHUTDOWN, 0);
    suggest(0, MA_ACTION_KILL, 0);
    suggest(0, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 1);
    test_host_fini(&h);
}

static void guard_group_goes_whole_or_not_at_all(void) {
    static struct test_host h;

    host(&h, 100);
    for (uint32_t i = 0; i < 3; i++) {
        test_guest_group(test_host_add_rigid(&h, "member", 8192), "erp");
    }
    suggest(0, MA_ACTION_KILL, 0);
    suggest(1, MA_ACTION_KILL, 0);
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    suggest(2, MA_ACTION_KILL, 0);
    h.snapshot.taken_at_usec += TEST_SECOND;
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, true), 3);
    test_host_fini(&h);
}

TAP_MAIN(TAP_CASE(guard_p1_never_is_no_victim),
         TAP_CASE(guard_p1_no_limit_on_never),
         TAP_CASE(guard_p2_never_below_guarantee),
         TAP_CASE(guard_p2_never_below_use_and_margin),
         TAP_CASE(guard_p2_a_small_guest_keeps_a_small_margin),
         TAP_CASE(guard_p2_no_balloon_that_cannot_be_counted_on),
         TAP_CASE(guard_p3_growth_stays_above_the_soft_watermark),
         TAP_CASE(guard_p3_no_growth_on_a_short_host),
         TAP_CASE(guard_p3_reclaim_leaves_swap_its_watermark),
         TAP_CASE(guard_p3_frees_stand_before_growth),
         TAP_CASE(guard_p4_one_victim_at_a_time),
         TAP_CASE(guard_p4_none_while_one_is_pending),
         TAP_CASE(guard_p4_no_shutdown_that_is_given_up_at_once),
         TAP_CASE(guard_p5_stale_and_missing_mean_hold),
         TAP_CASE(guard_p5_stale_host_arms_nothing),
         TAP_CASE(guard_p5_states_that_hold),
         TAP_CASE(guard_p11_nothing_above_the_armed_rung),
         TAP_CASE(guard_p11_kill_needs_kill),
         TAP_CASE(guard_p12_limits_of_incident_and_hour),
         TAP_CASE(guard_p12_poor_returns_disarm_the_rung),
         TAP_CASE(guard_p13_quiet_time_and_second_sample),
         TAP_CASE(guard_p13_late_tick_and_clock_jump),
         TAP_CASE(guard_p14_no_victim_where_gentle_suffices),
         TAP_CASE(guard_p14_no_victim_before_critical),
         TAP_CASE(guard_p14_victims_stay_where_gentle_fails),
         TAP_CASE(guard_takes_out_garbage),
         TAP_CASE(guard_computes_what_is_freed),
         TAP_CASE(guard_each_guest_once),
         TAP_CASE(guard_group_goes_whole_or_not_at_all));
