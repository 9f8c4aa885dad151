/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's words are seconds old, and balloons on their way are not back yet: what may be concluded from both. */
#include "test-host.h"

/* A guest of 8 GiB that uses 4192 MiB, on a host that is short of more than it has. */
static void an_old_word_shrinks_nobody_below_what_it_uses(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 500);
    h.snapshot.settings.arm = MA_ARM_RECLAIM;
    guest = test_host_add(&h, "idle", 8192, 4000);
    guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
    guest->config.guarantee_bytes = 1024 * MA_MIB;
    for (unsigned k = 0; k < 6; k++) {
        const struct ma_plan_action *action;

        test_host_tick(&h);
        action = test_host_action(&h, guest, MA_ACTION_BALLOON);
        CHECK(k > 0 || action != NULL);
        CHECK(action == NULL || action->to_bytes >= (4192 + 128) * MA_MIB);
        /* The balloon moves; the guest has not spoken since. */
        guest->actual_bytes = ma_max_u64(guest->actual_bytes - 1000 * MA_MIB, 4700 * MA_MIB);
        guest->resident_bytes = guest->actual_bytes;
        guest->stats.age_usec += TEST_SECOND;
    }
    test_host_fini(&h);
}

/* Shrunk to 4 GiB, all of them in use. */
static struct ma_guest *add_short(struct test_host *h) {
    struct ma_guest *guest = test_host_add(h, "short", 8192, 0);
    struct ma_guest_memory *memory = ma_state_get(&h->state, guest->uuid);

    guest->actual_bytes = 4096 * MA_MIB;
    guest->resident_bytes = 4096 * MA_MIB;
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = 4096 * MA_MIB;
    memory->balloon_is_settled = true;
    return guest;
}

static void a_word_from_before_it_was_given_asks_for_nothing_more(void) {
    static struct test_host h;
    struct ma_guest *guest;
    const struct ma_plan_action *action;

    test_host_init(&h, 64, 14000);
    guest = add_short(&h);
    test_host_tick(&h);
    action = test_host_action(&h, guest, MA_ACTION_BALLOON);
    CHECK(action != NULL && action->to_bytes == 6144 * MA_MIB);
    guest->actual_bytes = 6144 * MA_MIB;
    guest->resident_bytes = 5000 * MA_MIB;
    for (unsigned k = 1; k < 5; k++) {
        guest->stats.age_usec = k * TEST_SECOND;
        test_host_tick(&h);
        CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL);
    }
    guest->resident_bytes = 6144 * MA_MIB; /* it says so again */
    guest->stats.age_usec = 0;
    test_host_tick(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) != NULL);
    test_host_fini(&h);
}

static void a_rise_is_met_before_the_guest_lacks_anything(void) {
    static struct test_host h;
    struct ma_guest *guest;
    bool is_met = false;

    test_host_init(&h, 64, 14000);
    guest = add_short(&h);
    for (uint64_t mib = 2400; mib >= 800; mib -= 400) { /* 20 % of what it has is left at the end */
        const struct ma_plan_action *action;

        guest->stats.claimed_available_bytes = mib * MA_MIB;
        guest->stats.claimed_free_bytes = mib * MA_MIB;
        test_host_tick(&h);
        action = test_host_action(&h, guest, MA_ACTION_BALLOON);
        is_met = is_met || (action != NULL && action->to_bytes > guest->actual_bytes &&
                            action->reason == MA_REASON_GUEST_PRESSURE);
    }
    CHECK(is_met);
    test_host_fini(&h);
}

static void untouched_memory_returns_nothing_before_the_balloon_has_passed_it(void) {
    static struct test_host h;
    struct ma_guest *guest;
    const struct ma_candidate *candidate;

    for (int is_touched = 0; is_touched < 2; is_touched++) {
        test_host_init(&h, 64, 4000);
        test_host_slope(&h, -1000);
        guest = test_host_add(&h, "idle", 16384, 12000);
        guest->resident_bytes = (is_touched ? 16384 : 8192) * MA_MIB;
        guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
        guest->config.guarantee_bytes = 1024 * MA_MIB;
        test_host_plan(&h);
        candidate = &h.plan.candidates[0];
        for (uint32_t k = 0; k < candidate->n_options; k++) {
            const struct ma_option *option = &h.plan.options[candidate->first_option + k];

            if (option->n_steps == 1 && option->steps[0].action == MA_ACTION_BALLOON) {
                /* 400 MiB/s for the 4 s that are left of the horizon: 14784 MiB are left then */
                CHECK_I64(option->frees.mib[0], is_touched ? 1600 : 0);
            }
        }
        test_host_fini(&h);
    }
}

/* 4 GiB on their way back at 500 MiB/s. */
static int64_t demand_while_returning(int64_t host_mib_per_s) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;
    int64_t demand;

    test_host_init(&h, 64, 1500);
    test_host_slope(&h, host_mib_per_s);
    guest = test_host_add(&h, "returning", 16384, 10000);
    test_guest_growth(guest, -500);
    memory = ma_state_get(&h.state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->cooperation = MA_COOPERATION_GOOD;
    memory->rate_bytes_per_s = 500 * MA_MIB;
    memory->last_move_usec = h.snapshot.taken_at_usec - TEST_SECOND;
    memory->last_progress_usec = memory->last_move_usec;
    memory->last_direction = -1;
    memory->last_actual_bytes = guest->actual_bytes;
    memory->balloon_before_bytes = guest->max_bytes;
    memory->balloon_ours_bytes = 12288 * MA_MIB;
    test_host_plan(&h);
    demand = h.plan.deficits.mib[0];
    test_host_fini(&h);
    return demand;
}

/* Available that stands still while 500 MiB/s come back is a host whose guests take 500 MiB/s. */
static void what_others_take_at_once_is_no_gain_on_its_way(void) {
    CHECK_I64(demand_while_returning(500), 0);
    CHECK_I64(demand_while_returning(0), (3277 - 1500) * 105 / 100 + 1);
}

static void nothing_slow_where_guests_could_take_all_meanwhile(void) {
    static struct test_host h;
    struct ma_guest *guest, *grower;

    for (int is_fast = 0; is_fast < 2; is_fast++) {
        test_host_init(&h, 64, 1500); /* that stands still: balloons return what the grower takes */
        guest = test_host_add_rigid(&h, "g", 8192);
        grower = test_host_add(&h, "grower", 16384, 0);
        grower->resident_bytes = 4096 * MA_MIB;
        test_guest_class(grower, MA_IMPACT_NEVER);
        test_guest_growth(grower, is_fast ? 100 : 5);
        test_host_plan(&h);
        CHECK(test_host_action(&h, guest, is_fast ? MA_ACTION_KILL : MA_ACTION_SHUTDOWN) != NULL);
        test_host_fini(&h);
    }
}

/* Eight guests whose balloons return so much together, in time for every deadline. */
static void add_idle(struct test_host *h, uint64_t gives_mib) {
    for (int k = 0; k < 8; k++) {
        /* used, with a quarter of 8 % of it and 128 MiB as its margin, is what the balloon must leave on a critical host */
        uint64_t used_mib = (4096 - gives_mib / 8 - 32) * 100 / 102;

        (void) test_host_add(h, "idle", 4096, 4096 - used_mib);
    }
}

/* Critical, for it will be exhausted in 4.5 s; the critical watermark of 64 GiB is 1966 MiB. */
static void a_life_is_for_what_is_missing_below_the_critical_watermark(void) {
    static const struct {
        uint64_t available_mib;
        int64_t mib_per_s;
        uint64_t gives_mib;
        size_t victims;
    } cases[] = {
        {2700, -600, 2800, 0}, /* 2700 - 3000 + 2800: above it at the horizon */
        {2700, -600, 1800, 1}, /* below it */
        {1900, -420, 2800, 0}, /* 1900 - 2100 + 2800: below it now, above it at the horizon */
        {1900, -420, 1800, 1}, /* below it then as well */
        {900, -190, 2800, 1},  /* 900 - 950 + 2800, but too little is left to wait with */
    };

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        static struct test_host h;

        test_host_init(&h, 64, cases[k].available_mib);
        test_host_slope(&h, cases[k].mib_per_s);
        (void) test_host_add_rigid(&h, "rigid", 8192);
        add_idle(&h, cases[k].gives_mib);
        test_host_plan(&h);
        CHECK_U64(h.plan.pressure, MA_PRESSURE_CRITICAL);
        CHECK(h.plan.uncovered_without_victims.mib[0] > 0);
        CHECK_U64(test_host_count_victims(&h, false), cases[k].victims);
        test_host_fini(&h);
    }
}

TAP_MAIN(TAP_CASE(an_old_word_shrinks_nobody_below_what_it_uses),
         TAP_CASE(a_word_from_before_it_was_given_asks_for_nothing_more),
         TAP_CASE(a_rise_is_met_before_the_guest_lacks_anything),
         TAP_CASE(untouched_memory_returns_nothing_before_the_balloon_has_passed_it),
         TAP_CASE(what_others_take_at_once_is_no_gain_on_its_way),
         TAP_CASE(nothing_slow_where_guests_could_take_all_meanwhile),
         TAP_CASE(a_life_is_for_what_is_missing_below_the_critical_watermark));
