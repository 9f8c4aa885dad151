/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device handed through to a ballooned guest: what it brings back at once is reserved for, and then given. */
#include "test-host.h"

/* Of 64 GiB, by default: reserve 3277, critical 1966 MiB. */
#define SHOCK_MIB UINT64_C(1310)

static void pin_limit(struct ma_guest *guest, uint64_t mib) {
    guest->config.has |= MA_CONFIG_HAS_PIN_LIMIT;
    guest->config.pin_limit_bytes = mib * MA_MIB;
}

/* The lowest that its balloon is asked for while the host has nothing, in MiB. */
static uint64_t lowest_mib(struct test_host *h, const struct ma_guest *guest) {
    const struct ma_plan_action *action;

    test_host_tick(h);
    action = test_host_action(h, guest, MA_ACTION_BALLOON);
    return action == NULL ? guest->actual_bytes / MA_MIB : action->to_bytes / MA_MIB;
}

static void what_a_device_would_bring_back_is_reserved_for(void) {
    for (unsigned k = 0; k < 3; k++) {
        static struct test_host h;
        struct ma_guest *guest;
        bool is_reserved = k == 0;
        uint64_t lowest;

        test_host_init(&h, 64, 100);
        guest = test_host_add(&h, "idle", 8192, 8000);
        test_guest_class(guest, MA_IMPACT_NEVER);
        if (k == 0) {
            pin_limit(guest, 8192);
        } else if (k == 1) {
            pin_limit(guest, 8191);
        }
        lowest = lowest_mib(&h, guest);
        CHECK_U64(lowest >= 8192 - SHOCK_MIB - 1, is_reserved);
        CHECK(lowest < 8192);
        test_host_fini(&h);
    }
}

static struct ma_guest *ballooned(struct test_host *h) {
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(h, 64, 100);
    guest = test_host_add(h, "idle", 8192, 4000);
    test_guest_class(guest, MA_IMPACT_NEVER);
    guest->actual_bytes = 5000 * MA_MIB;
    guest->resident_bytes = 5000 * MA_MIB;
    guest->stats.claimed_available_bytes = 800 * MA_MIB;
    guest->stats.claimed_free_bytes = 800 * MA_MIB;
    memory = ma_state_get(&h->state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = 5000 * MA_MIB;
    memory->last_actual_bytes = 5000 * MA_MIB;
    memory->balloon_is_settled = true;
    memory->last_direction = -1;
    memory->last_turn_usec = h->snapshot.taken_at_usec - TEST_SECOND; /* no dwell holds it up */
    memory->last_move_usec = h->snapshot.taken_at_usec - TEST_SECOND;
    return guest;
}

static void hand_through(struct ma_guest *guest, uint64_t pinned_mib) {
    guest->balloon.has |= MA_BALLOON_HAS_INHIBITED_BY;
    guest->balloon.inhibited_by = MA_INHIBITOR_VFIO;
    guest->balloon.state = MA_BALLOON_INHIBITED;
    guest->has |= MA_GUEST_HAS_PINNED;
    guest->pinned_bytes = pinned_mib * MA_MIB;
    guest->resident_bytes = ma_max_u64(guest->resident_bytes, guest->pinned_bytes);
}

static void a_balloon_that_holds_nothing_goes_back_at_once(void) {
    static struct test_host h;
    struct ma_guest *guest = ballooned(&h);
    const struct ma_plan_action *action;
    int ram;

    hand_through(guest, 8192);
    test_host_tick(&h);
    CHECK(h.plan.pressure == MA_PRESSURE_CRITICAL);
    action = test_host_action(&h, guest, MA_ACTION_BALLOON);
    CHECK(action != NULL && action->is_armed);
    CHECK_U64(action->to_bytes, 8192 * MA_MIB);
    CHECK_U64(action->reason, MA_REASON_PINNED_MEANWHILE);
    ram = ma_plan_row(&h.plan, MA_ROW_RAM, 0);
    CHECK_I64(action->frees.mib[ram], 0);
    test_host_tick(&h); /* once is enough */
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL);
    test_host_fini(&h);
}

static void one_that_still_holds_something_stays(void) {
    static struct test_host h;
    struct ma_guest *guest = ballooned(&h);

    hand_through(guest, 6000); /* is being pinned */
    test_host_tick(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL);
    test_host_fini(&h);

    guest = ballooned(&h);
    test_host_tick(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL ||
          test_host_action(&h, guest, MA_ACTION_BALLOON)->to_bytes < guest->actual_bytes);
    test_host_fini(&h);
}

TAP_MAIN(TAP_CASE(what_a_device_would_bring_back_is_reserved_for),
         TAP_CASE(a_balloon_that_holds_nothing_goes_back_at_once),
         TAP_CASE(one_that_still_holds_something_stays));
