/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Golden cases: what the balanced policy does with hosts that a person can work out by hand. */
#include "test-host.h"

static enum ma_reason excluded(const struct test_host *h, const struct ma_guest *guest) {
    return h->plan.candidates[guest - h->guests].excluded_because;
}

static void pause_is_the_optimum_for_a_fast_grower(void) {
    static struct test_host h;
    struct ma_guest *grower;

    /* 6 GiB available above the reserve of 3.2, and 2 GiB a second going: in 5 s it is gone. Stopping the grower is
     * worth 10 GiB and costs less than anybody's life. */
    test_host_init(&h, 64, 6144);
    test_host_slope(&h, -2048);
    grower = test_host_add_rigid(&h, "grower", 8192);
    test_guest_growth(grower, 2048);
    test_host_add_rigid(&h, "calm", 8192);
    test_host_plan(&h);
    CHECK_U64(h.plan.pressure, MA_PRESSURE_CRITICAL);
    CHECK_U64(test_host_count_victims(&h, false), 1);
    CHECK(test_host_action(&h, grower, MA_ACTION_PAUSE) != NULL);
    CHECK(h.plan.certificate.is_optimal);
    test_host_fini(&h);
}

static void big_idle_guest_gives_before_a_small_busy_one_is_hurt(void) {
    static struct test_host h;
    struct ma_guest *idle;
    struct ma_guest *busy;

    test_host_init(&h, 64, 1024);
    idle = test_host_add(&h, "idle", 32768, 28000);
    busy = test_host_add(&h, "busy", 4096, 300);
    test_guest_impact(busy, 1);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK(test_host_action(&h, idle, MA_ACTION_BALLOON) != NULL);
    CHECK(test_host_action(&h, busy, MA_ACTION_BALLOON) == NULL);
    CHECK(h.plan.certificate.is_optimal);
    test_host_fini(&h);
}

static void pinned_guest_is_never_inflated_and_returns_pins_at_death(void) {
    static struct test_host h;
    struct ma_guest *pinned;

    test_host_init(&h, 64, 100);
    pinned = test_host_add(&h, "vfio", 32768, 30000);
    pinned->pinned_bytes = 32768 * MA_MIB;
    test_host_plan(&h);
    CHECK(test_host_action(&h, pinned, MA_ACTION_BALLOON) == NULL);
    CHECK(test_host_victim(&h, pinned) != NULL);
    CHECK_I64(test_host_victim(&h, pinned)->frees.mib[0], 32768);
    test_host_fini(&h);
}

static void hugepages_and_shared_bytes_do_not_come_back_to_ram(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 100);
    guest = test_host_add_rigid(&h, "huge", 32768);
    guest->resident_bytes = 8192 * MA_MIB;
    guest->hugepage_bytes = 24576 * MA_MIB;
    guest->shared_bytes = 1024 * MA_MIB;
    test_host_plan(&h);
    CHECK(test_host_victim(&h, guest) != NULL);
    CHECK_I64(test_host_victim(&h, guest)->frees.mib[0], 7168);
    test_host_fini(&h);
}

static void node_shortage_picks_among_guests_of_that_node(void) {
    static struct test_host h;
    struct ma_guest *here;
    struct ma_guest *there;

    test_host_init(&h, 64, 30000);
    test_host_node(&h, 32768, 29900);
    test_host_node(&h, 32768, 100);
    there = test_host_add_rigid(&h, "node0", 16384);
    here = test_host_add_rigid(&h, "node1", 16384);
    test_guest_impact(there, 1);
    test_guest_impact(here, 1000);
    test_guest_on_node(&h, there, 0, 16384);
    test_guest_on_node(&h, here, 1, 16384);
    here->has |= MA_GUEST_HAS_PLACEMENT;
    here->placement = MA_PLACEMENT_STRICT;
    test_host_plan(&h);
    CHECK_U64(h.plan.pressure, MA_PRESSURE_CRITICAL);
    CHECK(test_host_victim(&h, here) != NULL);
    CHECK(test_host_victim(&h, there) == NULL);
    test_host_fini(&h);
}

static void node_that_binds_nobody_makes_no_victim(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 30000);
    test_host_node(&h, 32768, 29900);
    test_host_node(&h, 32768, 100);
    guest = test_host_add_rigid(&h, "preferred", 16384);
    test_guest_on_node(&h, guest, 1, 16384);
    guest->has |= MA_GUEST_HAS_PLACEMENT;
    guest->placement = MA_PLACEMENT_PREFERRED;
    test_host_plan(&h);
    CHECK_U64(h.plan.n_actions, 0);
    test_host_fini(&h);
}

static void swap_alone_makes_no_victim(void) {
    static struct test_host h;

    test_host_init(&h, 64, 20000);
    test_host_swap(&h, 8192, 0);
    test_host_add_rigid(&h, "rigid", 16384);
    test_host_plan(&h);
    CHECK_U64(h.plan.pressure, MA_PRESSURE_NORMAL);
    CHECK_U64(h.plan.n_actions, 0);
    test_host_fini(&h);
}

static void full_swap_makes_no_victim_where_balloons_cover_ram(void) {
    static struct test_host h;

    test_host_init(&h, 64, 1000);
    test_host_swap(&h, 8192, 0);
    test_host_add(&h, "idle", 32768, 30000);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK(h.plan.n_actions > 0);
    test_host_fini(&h);
}

/* A reserve above the soft watermark: swap that is below its part of the reserve is short, and nothing pages out into it. */
static void swap_below_its_reserve_is_not_consumed(void) {
    static struct test_host h;
    const char *problem = "";

    test_host_init(&h, 4, 100);
    h.snapshot.settings.arm = MA_ARM_RECLAIM;
    h.snapshot.settings.has = MA_SETTINGS_HAS_RESERVE | MA_SETTINGS_HAS_SOFT;
    h.snapshot.settings.reserve_bytes = 4 * MA_GIB;
    h.snapshot.settings.soft_watermark_bytes = MA_GIB;
    CHECK_I64(ma_settings_resolve(&h.snapshot.settings, h.snapshot.host.total_bytes, &problem), 0);
    test_host_swap(&h, 1024, 768);
    test_guest_impact(test_host_add_rigid(&h, "victim", 6144), 1); /* may not be taken */
    (void) test_host_add_rigid(&h, "b", 2048);
    (void) test_host_add(&h, "c", 2048, 1000);
    test_host_plan(&h);
    CHECK(test_host_count_victims(&h, false) == 1 && h.plan.n_actions > 1);
    for (size_t k = 0; k < h.plan.n_actions; k++) {
        CHECK(h.plan.actions[k].action != MA_ACTION_RECLAIM);
    }
    test_host_fini(&h);
}

static void never_survives_everything(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 0);
    test_host_slope(&h, -4096);
    guest = test_host_add(&h, "never", 65536, 1000);
    test_guest_class(guest, MA_IMPACT_NEVER);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK_U64(excluded(&h, guest), MA_REASON_NEVER);
    CHECK_U64(h.plan.actions[h.plan.n_actions - 1].action, MA_ACTION_EXHAUSTED);
    CHECK(h.plan.uncovered.mib[0] > 0);
    test_host_fini(&h);
}

static void never_gives_its_balloon_down_to_its_guarantee(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 100);
    guest = test_host_add(&h, "never", 32768, 30000);
    test_guest_class(guest, MA_IMPACT_NEVER);
    test_host_plan(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) != NULL);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON)->to_bytes >= 16384 * MA_MIB);
    test_host_fini(&h);
}

static void group_leaves_together(void) {
    static struct test_host h;
    struct ma_guest *a;
    struct ma_guest *b;

    test_host_init(&h, 64, 100);
    a = test_host_add_rigid(&h, "a", 2048);
    b = test_host_add_rigid(&h, "b", 2048);
    test_guest_group(a, "erp");
    test_guest_group(b, "erp");
    test_guest_impact(a, 10);
    test_guest_impact(b, 10);
    test_guest_impact(test_host_add_rigid(&h, "dear", 8192), 1000);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 2);
    CHECK(test_host_victim(&h, a) != NULL && test_host_victim(&h, a)->is_armed);
    CHECK(test_host_victim(&h, b) != NULL && test_host_victim(&h, b)->is_armed);
    CHECK_U64(h.plan.certificate.victims, 2);
    test_host_fini(&h);
}

static void one_bad_member_spares_its_group(void) {
    static struct test_host h;
    struct ma_guest *a;
    struct ma_guest *b;

    test_host_init(&h, 64, 100);
    a = test_host_add_rigid(&h, "a", 4096);
    b = test_host_add_rigid(&h, "b", 4096);
    test_guest_group(a, "erp");
    test_guest_group(b, "erp");
    test_guest_class(b, MA_IMPACT_NEVER);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK_U64(excluded(&h, a), MA_REASON_GROUP_INELIGIBLE);
    test_host_fini(&h);
}

static void group_of_nine_is_too_large(void) {
    static struct test_host h;

    test_host_init(&h, 64, 100);
    for (int k = 0; k < 9; k++) {
        test_guest_group(test_host_add_rigid(&h, "member", 4096), "erp");
    }
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK_U64(excluded(&h, &h.guests[8]), MA_REASON_GROUP_TOO_LARGE);
    test_host_fini(&h);
}

static void first_goes_first(void) {
    static struct test_host h;
    struct ma_guest *first;

    test_host_init(&h, 64, 100);
    for (int k = 0; k < 3; k++) {
        test_guest_impact(test_host_add_rigid(&h, "cheap", 1024), 1);
    }
    first = test_host_add_rigid(&h, "first", 2048);
    test_guest_class(first, MA_IMPACT_FIRST);
    test_host_plan(&h);
    CHECK(test_host_count_victims(&h, false) >= 2);
    CHECK(test_host_victim(&h, first) != NULL && test_host_victim(&h, first)->is_armed);
    CHECK_U64(test_host_count_victims(&h, true), 1);
    test_host_fini(&h);
}

static void culprit_goes_before_a_second_innocent(void) {
    static struct test_host h;
    struct ma_guest *bomb;
    struct ma_guest *cheap;

    test_host_init(&h, 64, 100);
    bomb = test_host_add_rigid(&h, "bomb", 16384);
    test_guest_impact(bomb, 1000);
    test_guest_growth(bomb, 500);
    cheap = test_host_add_rigid(&h, "cheap", 16384);
    test_host_plan(&h);
    CHECK(test_host_victim(&h, cheap) != NULL);
    CHECK(test_host_victim(&h, bomb) == NULL);

    memset(&h.state.pending, 0, sizeof(h.state.pending));
    h.state.victims_in_incident = 1;
    h.snapshot.taken_at_usec += TEST_SECOND;
    test_host_plan(&h);
    CHECK(test_host_victim(&h, bomb) != NULL);
    CHECK_U64(test_host_victim(&h, bomb)->reason, MA_REASON_CULPRIT);
    CHECK(test_host_victim(&h, bomb)->is_armed);
    CHECK(test_host_victim(&h, cheap) == NULL);
    CHECK(h.plan.certificate.lower_bound_impact <= h.plan.certificate.total_impact);
    test_host_fini(&h);
}

/* What is short is more than the culprit has: who goes besides it is somebody else, not the culprit once more. */
static void culprit_is_counted_once(void) {
    static struct test_host h;
    struct ma_guest *bomb;
    struct ma_guest *large;

    test_host_init(&h, 64, 100);
    bomb = test_host_add_rigid(&h, "bomb", 2048);
    test_guest_impact(bomb, 90);
    test_guest_growth(bomb, 500);
    large = test_host_add_rigid(&h, "large", 32768);
    test_guest_impact(large, 100);
    test_host_plan(&h);
    memset(&h.state.pending, 0, sizeof(h.state.pending));
    h.state.victims_in_incident = 1;
    h.snapshot.taken_at_usec += TEST_SECOND;
    test_host_plan(&h);
    CHECK(h.plan.deficits.mib[0] > 2048);
    CHECK(test_host_victim(&h, bomb) != NULL);
    CHECK(test_host_victim(&h, large) != NULL);
    CHECK_U64(test_host_count_victims(&h, false), 2);
    test_host_fini(&h);
}

/* A host of 512 TiB: the largest figures count for what they are, so nobody goes besides a guest that suffices. */
static void guest_of_40_tib_suffices(void) {
    static struct test_host h;
    struct ma_guest *giant;
    struct ma_guest *small;

    test_host_init(&h, 512 * 1024, 100);
    giant = test_host_add_rigid(&h, "giant", UINT64_C(40) << 20);
    test_guest_impact(giant, 50);
    small = test_host_add_rigid(&h, "small", 1024);
    test_guest_impact(small, 100);
    test_host_plan(&h);
    CHECK(test_host_victim(&h, giant) != NULL);
    CHECK(test_host_victim(&h, small) == NULL);
    CHECK(h.plan.certificate.is_optimal);
    CHECK_I64(h.plan.uncovered.mib[0], 0);
    test_host_fini(&h);
}

/* Figures within the snapshot's bounds, beyond the planner's: there is a plan all the same. */
static void guest_of_32_tib_is_planned_for(void) {
    static struct test_host h;
    struct ma_guest *small;

    test_host_init(&h, 48 * 1024, 100);
    (void) test_host_add(&h, "giant", 32 * 1024 * 1024, 20 * 1024 * 1024);
    small = test_host_add(&h, "small", 4096, 3000);
    small->has |= MA_GUEST_HAS_SWAP;
    small->swap_bytes = MA_BYTES_MAX;
    test_host_swap(&h, MA_BYTES_MAX / MA_MIB, 100);
    test_host_plan(&h); /* fails where it is not decided */
    CHECK(h.plan.has_certificate);
    CHECK(h.plan.n_actions > 0);
    test_host_fini(&h);
}

/* The host has nothing left and its slope says nothing: what a guest takes shows in its growth alone. */
static void pause_has_a_worth_where_nothing_is_left(void) {
    static struct test_host h;
    struct ma_guest *bomb;
    int64_t most = 0;

    test_host_init(&h, 64, 0);
    bomb = test_host_add_rigid(&h, "bomb", 16384);
    test_guest_growth(bomb, 500);
    (void) test_host_add_rigid(&h, "calm", 16384);
    for (int k = 0; k < 2; k++) {
        memset(&h.state.pending, 0, sizeof(h.state.pending));
        h.snapshot.taken_at_usec += TEST_SECOND;
        test_host_plan(&h);
    }
    for (size_t k = 0; k < h.plan.candidates[0].n_options; k++) {
        const struct ma_option *option = &h.plan.options[h.plan.candidates[0].first_option + k];

        most = option->rung == MA_RUNG_PAUSE ? option->frees.mib[0] : most;
    }
    CHECK(most >= 500);
    CHECK(h.plan.deficits.mib[0] >= (int64_t) ma_mib_up(h.plan.settings.reserve_bytes) + most);
    test_host_fini(&h);
}

static void stable_host_waits_for_a_big_balloon(void) {
    static struct test_host h;

    /* 10 GiB are missing and one balloon has them: 400 MiB a second will do, nothing else is going. */
    test_host_init(&h, 256, 3000);
    test_host_add(&h, "idle", 65536, 60000);
    test_host_add_rigid(&h, "rigid", 16384);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    test_host_fini(&h);
}

static void bomb_does_not_wait_for_a_slow_balloon(void) {
    static struct test_host h;

    test_host_init(&h, 256, 6000);
    test_host_slope(&h, -1500);
    test_host_add(&h, "idle", 65536, 60000)->balloon.has |= MA_BALLOON_HAS_RATE;
    h.guests[0].balloon.rate_bytes_per_s = 10 * MA_MIB;
    test_host_add_rigid(&h, "rigid", 32768);
    test_host_plan(&h);
    CHECK(test_host_count_victims(&h, false) > 0);
    test_host_fini(&h);
}

static void nobody_dies_for_a_row_that_nobody_can_help(void) {
    static struct test_host h;

    test_host_init(&h, 64, 100);
    for (int k = 0; k < 3; k++) {
        struct ma_guest *guest = test_host_add_rigid(&h, "huge", 8192);

        guest->resident_bytes = 0;
        guest->hugepage_bytes = 8192 * MA_MIB;
    }
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK(h.plan.uncovered.mib[0] > 0);
    test_host_fini(&h);
}

static void held_and_saved_settings_are_respected(void) {
    static struct test_host h;
    struct ma_guest *held;
    struct ma_guest *bad;

    test_host_init(&h, 64, 100);
    held = test_host_add(&h, "held", 16384, 16000);
    held->is_held = true;
    bad = test_host_add(&h, "bad-metadata", 16384, 1000);
    bad->config.is_invalid = true;
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    CHECK(test_host_action(&h, held, MA_ACTION_BALLOON) == NULL);
    CHECK_U64(excluded(&h, held), MA_REASON_HELD);
    CHECK_U64(excluded(&h, bad), MA_REASON_INVALID_METADATA);
    test_host_fini(&h);
}

static void barred_victims_leave_the_gentle_ways_working(void) {
    static struct test_host h;
    struct ma_guest *idle;

    /* Killing `first` alone is cheapest; armed for gentle actions only, the balloon has to do what it can. */
    test_host_init(&h, 64, 100);
    h.snapshot.settings.arm = MA_ARM_RECLAIM;
    test_guest_class(test_host_add_rigid(&h, "first", 16384), MA_IMPACT_FIRST);
    idle = test_host_add(&h, "idle", 4096, 2000);
    test_host_plan(&h);
    CHECK(test_host_action(&h, idle, MA_ACTION_BALLOON) != NULL);
    CHECK(test_host_action(&h, idle, MA_ACTION_BALLOON)->is_armed);
    CHECK_U64(test_host_count_victims(&h, true), 0);
    CHECK_U64(test_host_count_victims(&h, false), 1);
    test_host_fini(&h);
}

static void forged_sample_kills_nobody(void) {
    static struct test_host h;

    test_host_init(&h, 64, 20000);
    test_host_add_rigid(&h, "rigid", 16384);
    for (int k = 0; k < 5; k++) {
        test_host_tick(&h);
    }
    h.snapshot.host.available_bytes = 0;
    test_host_tick(&h);
    CHECK_U64(test_host_count_victims(&h, true), 0);
    h.snapshot.host.available_bytes = 20000 * MA_MIB;
    test_host_tick(&h);
    CHECK_U64(test_host_count_victims(&h, true), 0);
    test_host_fini(&h);
}

static void still_needed_is_read_again(void) {
    static struct test_host h;

    test_host_init(&h, 64, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    test_host_plan(&h);
    CHECK_U64(test_host_count_victims(&h, true), 1);
    CHECK(ma_victim_still_needed(&h.plan, 100 * MA_MIB));
    CHECK(!ma_victim_still_needed(&h.plan, 20000 * MA_MIB));
    test_host_fini(&h);
}

static void dry_run_commits_nothing(void) {
    static struct test_host h;

    test_host_init(&h, 64, 100);
    test_host_add_rigid(&h, "rigid", 16384);
    test_host_add(&h, "idle", 8192, 7000);
    CHECK_I64(test_host_decide_as(&h, true, true), 0);
    CHECK(h.plan.n_actions > 0);
    CHECK(!h.state.pending.is_pending);
    CHECK_U64(h.state.victims_in_incident, 0);
    CHECK_U64(h.state.guests[1].taken, 0);
    test_host_fini(&h);
}

static void same_input_same_plan(void) {
    static struct test_host a;
    static struct test_host b;

    for (int k = 0; k < 2; k++) {
        struct test_host *h = k == 0 ? &a : &b;

        test_host_init(h, 64, 500);
        for (int i = 0; i < 20; i++) {
            test_host_add(h, "guest", 4096, (uint64_t) (i * 90));
        }
        test_host_plan(h);
    }
    CHECK_U64(a.plan.n_actions, b.plan.n_actions);
    CHECK(memcmp(a.plan.actions, b.plan.actions, a.plan.n_actions * sizeof(*a.plan.actions)) == 0);
    test_host_fini(&a);
    test_host_fini(&b);
}

static void virtio_mem_shrinks_also_with_vfio(void) {
    static struct test_host h;
    struct ma_guest *guest;
    const struct ma_plan_action *action;

    test_host_init(&h, 64, 1500);
    guest = test_host_add(&h, "vfio", 4096, 7000);
    guest->pinned_bytes = 12288 * MA_MIB;
    guest->resident_bytes = 12288 * MA_MIB;
    guest->virtio_mem = (struct ma_virtio_mem){
        .has = MA_VIRTIO_MEM_HAS_PLUGGED | MA_VIRTIO_MEM_HAS_BLOCK | MA_VIRTIO_MEM_HAS_REQUESTED,
        .plugged_bytes = 8192 * MA_MIB,
        .requested_bytes = 8192 * MA_MIB,
        .block_bytes = 2 * MA_MIB};
    test_host_plan(&h);
    action = test_host_action(&h, guest, MA_ACTION_RESIZE);
    CHECK(action != NULL);
    CHECK(action != NULL && action->to_bytes % (2 * MA_MIB) == 0);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    test_host_fini(&h);
}

TAP_MAIN(TAP_CASE(pause_is_the_optimum_for_a_fast_grower),
         TAP_CASE(big_idle_guest_gives_before_a_small_busy_one_is_hurt),
         TAP_CASE(pinned_guest_is_never_inflated_and_returns_pins_at_death),
         TAP_CASE(hugepages_and_shared_bytes_do_not_come_back_to_ram),
         TAP_CASE(node_shortage_picks_among_guests_of_that_node),
         TAP_CASE(node_that_binds_nobody_makes_no_victim),
         TAP_CASE(swap_alone_makes_no_victim),
         TAP_CASE(full_swap_makes_no_victim_where_balloons_cover_ram),
         TAP_CASE(swap_below_its_reserve_is_not_consumed),
         TAP_CASE(never_survives_everything),
         TAP_CASE(never_gives_its_balloon_down_to_its_guarantee),
         TAP_CASE(group_leaves_together),
         TAP_CASE(one_bad_member_spares_its_group),
         TAP_CASE(group_of_nine_is_too_large),
         TAP_CASE(first_goes_first),
         TAP_CASE(culprit_goes_before_a_second_innocent),
         TAP_CASE(culprit_is_counted_once),
         TAP_CASE(guest_of_40_tib_suffices),
         TAP_CASE(guest_of_32_tib_is_planned_for),
         TAP_CASE(pause_has_a_worth_where_nothing_is_left),
         TAP_CASE(stable_host_waits_for_a_big_balloon),
         TAP_CASE(bomb_does_not_wait_for_a_slow_balloon),
         TAP_CASE(nobody_dies_for_a_row_that_nobody_can_help),
         TAP_CASE(held_and_saved_settings_are_respected),
         TAP_CASE(barred_victims_leave_the_gentle_ways_working),
         TAP_CASE(forged_sample_kills_nobody),
         TAP_CASE(still_needed_is_read_again),
         TAP_CASE(dry_run_commits_nothing),
         TAP_CASE(same_input_same_plan),
         TAP_CASE(virtio_mem_shrinks_also_with_vfio));
