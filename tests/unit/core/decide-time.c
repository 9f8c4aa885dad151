/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Golden cases in which time or place decides: pauses that end, ram that is gone before balloons land, short nodes. */
#include "test-host.h"

/* `bomb` is paused since 11 minutes and the host is critical with nothing gentle left; `cheap` would cost less. */
static struct ma_guest *expired_pause(struct test_host *h, uint64_t available_mib) {
    struct ma_guest_memory *memory;
    struct ma_guest *bomb;

    test_host_init(h, 64, available_mib);
    bomb = test_host_add_rigid(h, "bomb", 16384);
    test_guest_impact(test_host_add_rigid(h, "cheap", 16384), 1);
    bomb->state = MA_GUEST_PAUSED;
    memory = ma_state_get(&h->state, bomb->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_PAUSE;
    memory->pause_is_settled = true;
    memory->paused_since_usec = h->snapshot.taken_at_usec - 660 * TEST_SECOND;
    return bomb;
}

static void expired_pause_takes_the_next_rung_where_a_victim_is_needed(void) {
    static struct test_host h;
    struct ma_guest *bomb = expired_pause(&h, 500);

    test_host_plan(&h);
    CHECK(test_host_action(&h, bomb, MA_ACTION_RESUME) == NULL);
    CHECK(test_host_action(&h, bomb, MA_ACTION_KILL) != NULL);
    CHECK(test_host_action(&h, bomb, MA_ACTION_KILL)->is_armed);
    CHECK_U64(test_host_action(&h, bomb, MA_ACTION_KILL)->reason, MA_REASON_PAUSE_EXPIRED);
    CHECK_U64(test_host_count_victims(&h, false), 1);
    test_host_fini(&h);
}

static void expired_pause_resumes_where_the_next_rung_is_not_armed_or_allowed(void) {
    static struct test_host h;
    struct ma_guest *bomb;

    for (int is_allowed = 0; is_allowed < 2; is_allowed++) {
        bomb = expired_pause(&h, 500);
        h.snapshot.settings.arm = is_allowed ? MA_ARM_PAUSE : MA_ARM_KILL;
        bomb->config.has |= MA_CONFIG_HAS_ACTIONS;
        bomb->config.actions = is_allowed ? MA_ACTIONS_DEFAULT : MA_ACTION_BIT(MA_ACTION_PAUSE);
        test_host_plan(&h);
        CHECK(test_host_action(&h, bomb, MA_ACTION_RESUME) != NULL);
        CHECK(test_host_action(&h, bomb, MA_ACTION_RESUME)->is_armed);
        CHECK_U64(test_host_action(&h, bomb, MA_ACTION_RESUME)->reason, MA_REASON_PAUSE_EXPIRED);
        test_host_fini(&h);
    }
}

static void expired_pause_resumes_where_no_victim_is_needed(void) {
    static struct test_host h;
    struct ma_guest *bomb = expired_pause(&h, 3000); /* hard */

    test_host_plan(&h);
    CHECK(test_host_action(&h, bomb, MA_ACTION_RESUME) != NULL);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    test_host_fini(&h);
}

/* Twenty idle guests whose balloons bring 32 GiB within the horizon, and nothing within their lag; 900 MiB are left. */
static struct ma_guest *race(struct test_host *h, int64_t mib_per_s) {
    struct ma_guest *grower;

    test_host_init(h, 64, 900);
    test_host_slope(h, -mib_per_s);
    grower = test_host_add_rigid(h, "grower", 8192);
    test_guest_growth(grower, mib_per_s);
    for (int k = 0; k < 20; k++) {
        test_host_add(h, "idle", 8192, 7000);
    }
    return grower;
}

static int deadline_row(const struct ma_plan *plan) {
    for (size_t d = 0; d < plan->n_rows; d++) {
        if (plan->rows[d].within_ms > 0) {
            return (int) d;
        }
    }
    return -1;
}

static void ram_that_is_gone_before_balloons_land_needs_what_is_fast(void) {
    static struct test_host h;
    struct ma_guest *grower = race(&h, 1024);
    int d;

    test_host_plan(&h);
    d = deadline_row(&h.plan);
    CHECK(d >= 0);
    CHECK_U64(h.plan.rows[d].within_ms, 800); /* 900 MiB at 1 GiB/s, in whole 0.1 s */
    CHECK_I64(h.plan.deficits.mib[d], 4431);  /* (5120 - 900) x 1.05 */
    CHECK_I64(h.plan.uncovered_without_victims.mib[d], 4431); /* no balloon lands in 0.8 s */
    CHECK_I64(h.plan.uncovered_without_victims.mib[0], 0);    /* by the horizon they all would */
    CHECK_U64(test_host_count_victims(&h, false), 1);
    CHECK(test_host_action(&h, grower, MA_ACTION_PAUSE) != NULL);
    CHECK(test_host_action(&h, grower, MA_ACTION_PAUSE)->is_armed);
    CHECK(h.plan.certificate.is_optimal);
    CHECK_I64(h.plan.uncovered.mib[d], 0);
    CHECK(ma_victim_still_needed(&h.plan, 900 * MA_MIB));
    CHECK(ma_victim_still_needed(&h.plan, 3500 * MA_MIB)); /* above the reserve, gone in 3.5 s */
    CHECK(!ma_victim_still_needed(&h.plan, 40000 * MA_MIB));
    test_host_fini(&h);
}

static void a_kill_meets_a_deadline_at_the_pace_of_an_exit(void) {
    static struct test_host h;
    struct ma_guest *grower = race(&h, 1024);
    int d;

    grower->config.has |= MA_CONFIG_HAS_ACTIONS;
    grower->config.actions = MA_ACTION_BIT(MA_ACTION_KILL) | MA_ACTION_BIT(MA_ACTION_SHUTDOWN);
    for (int k = 1; k <= 20; k++) {
        test_guest_class(&h.guests[k], MA_IMPACT_NEVER);
    }
    test_host_plan(&h);
    d = deadline_row(&h.plan);
    CHECK(d >= 0);
    CHECK(test_host_action(&h, grower, MA_ACTION_SHUTDOWN) == NULL);
    CHECK(test_host_action(&h, grower, MA_ACTION_KILL) != NULL);
    /* 10 GiB/s for 0.7 s */
    CHECK_I64(test_host_action(&h, grower, MA_ACTION_KILL)->frees.mib[d], 7168);
    CHECK_I64(test_host_action(&h, grower, MA_ACTION_KILL)->frees.mib[0], 8192);
    test_host_fini(&h);
}

static void ram_that_lasts_until_balloons_land_has_no_deadline(void) {
    static struct test_host h;

    (void) race(&h, 150); /* 6 s */
    test_host_plan(&h);
    CHECK(deadline_row(&h.plan) < 0);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    test_host_fini(&h);
}

static void a_deadline_that_balloons_meet_makes_no_victim(void) {
    static struct test_host h;
    int d;

    (void) race(&h, 300); /* 3 s: 20 x 800 MiB land by then */
    test_host_plan(&h);
    d = deadline_row(&h.plan);
    CHECK(d >= 0 && h.plan.deficits.mib[d] > 0);
    CHECK_I64(h.plan.uncovered.mib[d], 0);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK(h.plan.certificate.is_optimal);
    test_host_fini(&h);
}

/* A guest that fills its memory at 2 GiB/s, or was seen to some seconds ago: 4 of its 16 GiB are touched. */
static struct ma_guest *filling(struct test_host *h, int64_t host_mib_per_s) {
    struct ma_guest *guest;

    test_host_init(h, 64, 1000);
    if (host_mib_per_s != 0) {
        test_host_slope(h, host_mib_per_s);
    }
    guest = test_host_add(h, "filling", 16384, 12288);
    guest->resident_bytes = 4096 * MA_MIB;
    test_guest_growth(guest, 2048);
    test_host_add_rigid(h, "calm", 16384);
    return guest;
}

static void growth_that_the_host_does_not_feel_is_worth_nothing(void) {
    static struct test_host h;
    struct ma_guest *guest = filling(&h, 0);

    test_host_plan(&h);
    /* Its balloon may go down to 8 GiB, of which no page is touched: nothing comes back, nor of a pause. */
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL);
    CHECK(test_host_action(&h, guest, MA_ACTION_PAUSE) == NULL);
    CHECK(h.plan.uncovered_without_victims.mib[0] == h.plan.deficits.mib[0]);
    test_host_fini(&h);
}

static void stopping_a_grower_is_worth_what_the_host_loses(void) {
    static struct test_host h;
    struct ma_guest *guest = filling(&h, -100);
    uint32_t first;

    test_host_plan(&h);
    first = h.plan.candidates[guest - h.guests].first_option;
    CHECK(h.plan.candidates[guest - h.guests].n_options > 0);
    for (uint32_t k = 0; k < h.plan.candidates[guest - h.guests].n_options; k++) {
        const struct ma_option *option = &h.plan.options[first + k];

        if (option->steps[0].action == MA_ACTION_BALLOON ||
            option->steps[0].action == MA_ACTION_PAUSE) {
            CHECK_I64(option->frees.mib[0], 500); /* 100 MiB/s for 5 s, not 10 GiB */
        }
    }
    test_host_fini(&h);
}

static void growth_under_way_is_no_gain_in_flight(void) {
    static struct test_host h;
    struct ma_guest *guest = filling(&h, 0);
    struct ma_guest_memory *memory = ma_state_get(&h.state, guest->uuid);

    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->cooperation = MA_COOPERATION_GOOD;
    memory->rate_bytes_per_s = 400 * MA_MIB;
    memory->last_move_usec = h.snapshot.taken_at_usec - TEST_SECOND;
    memory->last_progress_usec = memory->last_move_usec;
    memory->last_actual_bytes = guest->actual_bytes;
    memory->balloon_before_bytes = guest->max_bytes;
    memory->balloon_ours_bytes = 8192 * MA_MIB;
    test_host_plan(&h);
    /* (3276.8 - 1000) x 1.05, as if the balloon stood still */
    CHECK_I64(h.plan.deficits.mib[0], 2391);
    test_host_fini(&h);
}

/* Three seconds of a fall that would empty the host within four more. */
static void fall(struct test_host *h, const struct ma_guest *guest, bool may_be_paused) {
    test_host_slope(h, -1000);
    for (uint64_t mib = 5600; mib >= 3600; mib -= 1000) {
        h->snapshot.host.available_bytes = mib * MA_MIB;
        test_host_tick(h);
        CHECK(may_be_paused || test_host_action(h, guest, MA_ACTION_PAUSE) == NULL);
    }
    CHECK_U64(h->plan.pressure, MA_PRESSURE_CRITICAL);
    CHECK_U64(test_host_count_victims(h, false), 1);
}

static void a_guest_whose_pause_was_over_is_not_paused_again_at_once(void) {
    static struct test_host h;
    struct ma_guest *bomb = expired_pause(&h, 3000); /* hard: it is resumed */

    test_guest_growth(bomb, 1000);
    test_guest_class(&h.guests[1], MA_IMPACT_NEVER);
    for (int k = 0; k < 5 && test_host_action(&h, bomb, MA_ACTION_RESUME) == NULL; k++) {
        test_host_tick(&h);
    }
    CHECK(test_host_action(&h, bomb, MA_ACTION_RESUME) != NULL);
    bomb->state = MA_GUEST_RUNNING;
    fall(&h, bomb, false); /* the next rung is all that is left */
    h.snapshot.taken_at_usec += 31 * 60 * TEST_SECOND;
    fall(&h, bomb, true); /* where a pause costs less */
    CHECK(test_host_action(&h, bomb, MA_ACTION_PAUSE) != NULL);
    test_host_fini(&h);
}

static void a_shutdown_that_takes_most_of_the_time_left_is_none(void) {
    static const struct {
        int64_t mib_per_s;
        enum ma_action expected;
    } cases[] = {
        {0, MA_ACTION_SHUTDOWN},  /* all the time in the world */
        {-5, MA_ACTION_SHUTDOWN}, /* 300 s left, 60 needed */
        {-20, MA_ACTION_KILL},    /* 75 s */
        {-100, MA_ACTION_KILL},   /* 15 s */
    };

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        static struct test_host h;
        struct ma_guest *guest;

        test_host_init(&h, 64, 1500);
        if (cases[k].mib_per_s != 0) {
            test_host_slope(&h, cases[k].mib_per_s);
        }
        guest = test_host_add_rigid(&h, "g", 8192);
        test_host_plan(&h);
        CHECK_U64(test_host_count_victims(&h, false), 1);
        CHECK(test_host_action(&h, guest, cases[k].expected) != NULL);
        test_host_fini(&h);
    }
}

static void a_host_that_pages_out_has_until_its_swap_is_full(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 1500); /* where the kernel's paging holds it */
    test_host_swap(&h, 16384, 16384);
    guest = test_host_add_rigid(&h, "g", 8192);
    guest->config.has |= MA_CONFIG_HAS_ACTIONS;
    guest->config.actions = MA_ACTION_BIT(MA_ACTION_SHUTDOWN) | MA_ACTION_BIT(MA_ACTION_KILL);
    test_host_tick(&h);
    for (int k = 0; k < 20; k++) {
        h.snapshot.host.swap_free_bytes -= 500 * MA_MIB;
        CHECK_I64(test_host_decide_as(&h, false, true), 0);
        h.snapshot.taken_at_usec += TEST_SECOND;
    }
    CHECK(test_host_action(&h, guest, MA_ACTION_SHUTDOWN) == NULL);
    CHECK(test_host_action(&h, guest, MA_ACTION_KILL) != NULL);
    test_host_fini(&h);
}

static void a_short_node_shrinks_its_own_guests(void) {
    static struct test_host h;
    struct ma_guest *here;
    struct ma_guest *there;
    struct ma_guest *both;

    for (int is_short = 0; is_short < 2; is_short++) {
        test_host_init(&h, 64, 20000);
        test_host_node(&h, 32768, 17500);
        test_host_node(&h, 32768, is_short ? 2500 : 17500); /* soft 3277, reserve 1638 */
        there = test_host_add(&h, "node0", 8192, 7000);
        here = test_host_add(&h, "node1", 8192, 7000);
        both = test_host_add(&h, "both", 8192, 7000);
        test_guest_on_node(&h, there, 0, 8192);
        test_guest_on_node(&h, here, 1, 8192);
        test_guest_on_node(&h, both, 0, 4096);
        test_guest_on_node(&h, both, 1, 4096);
        here->has |= MA_GUEST_HAS_PLACEMENT;
        here->placement = MA_PLACEMENT_STRICT;
        test_host_plan(&h);
        CHECK_U64(h.plan.pressure, is_short ? MA_PRESSURE_SOFT : MA_PRESSURE_NORMAL);
        CHECK((test_host_action(&h, here, MA_ACTION_BALLOON) != NULL) == is_short);
        CHECK(test_host_action(&h, there, MA_ACTION_BALLOON) == NULL);
        CHECK(!is_short || test_host_action(&h, here, MA_ACTION_BALLOON)->frees.mib[2] > 0);
        CHECK_U64(test_host_count_victims(&h, false), 0);
        test_host_fini(&h);
    }
}

TAP_MAIN(TAP_CASE(expired_pause_takes_the_next_rung_where_a_victim_is_needed),
         TAP_CASE(expired_pause_resumes_where_the_next_rung_is_not_armed_or_allowed),
         TAP_CASE(expired_pause_resumes_where_no_victim_is_needed),
         TAP_CASE(ram_that_is_gone_before_balloons_land_needs_what_is_fast),
         TAP_CASE(a_kill_meets_a_deadline_at_the_pace_of_an_exit),
         TAP_CASE(ram_that_lasts_until_balloons_land_has_no_deadline),
         TAP_CASE(a_deadline_that_balloons_meet_makes_no_victim),
         TAP_CASE(growth_that_the_host_does_not_feel_is_worth_nothing),
         TAP_CASE(stopping_a_grower_is_worth_what_the_host_loses),
         TAP_CASE(growth_under_way_is_no_gain_in_flight),
         TAP_CASE(a_guest_whose_pause_was_over_is_not_paused_again_at_once),
         TAP_CASE(a_shutdown_that_takes_most_of_the_time_left_is_none),
         TAP_CASE(a_host_that_pages_out_has_until_its_swap_is_full),
         TAP_CASE(a_short_node_shrinks_its_own_guests));
