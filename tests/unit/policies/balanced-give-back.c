/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was taken goes back: when, how much, and to whom first. 64 GiB: soft 6554 MiB; a quarter of that is kept, 1638. */
#include "test-host.h"

#define SOFT_MIB 6554U

/* So much above the soft watermark, in the normal state from now on. */
static void begin(struct test_host *host, uint64_t above_mib) {
    test_host_init(host, 64, SOFT_MIB + above_mib);
    test_host_tick(host);
    CHECK_U64(host->plan.pressure, MA_PRESSURE_NORMAL);
    host->state.pressures[0].since_usec = host->snapshot.taken_at_usec;
}

static void set_shares(struct ma_guest *guest, uint32_t shares) {
    guest->config.has |= MA_CONFIG_HAS_SHARES;
    guest->config.shares = shares;
}

/* Of size_mib, shrunk to half of it a while ago, holding held_mib of that; it uses a quarter of its size. */
static struct ma_guest *
add_shrunk(struct test_host *host, const char *name, uint64_t size_mib, uint64_t held_mib) {
    struct ma_guest *guest = test_host_add(host, name, size_mib, size_mib / 4);
    struct ma_guest_memory *memory = ma_state_get(&host->state, guest->uuid);

    CHECK(memory != NULL);
    guest->actual_bytes = size_mib / 2 * MA_MIB;
    guest->resident_bytes = held_mib * MA_MIB;
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = size_mib * MA_MIB;
    memory->balloon_ours_bytes = guest->actual_bytes;
    memory->balloon_is_settled = true;
    memory->last_direction = -1;
    memory->last_move_usec = host->snapshot.taken_at_usec - 60 * TEST_SECOND;
    memory->last_turn_usec = memory->last_move_usec;
    memory->seen_usec = memory->last_move_usec;
    memory->last_actual_bytes = guest->actual_bytes;
    return guest;
}

static uint64_t given_mib(const struct test_host *host, const struct ma_guest *guest) {
    const struct ma_plan_action *action = test_host_action(host, guest, MA_ACTION_BALLOON);

    CHECK(action == NULL || action->reason == MA_REASON_GIVE_BACK);
    return action == NULL ? 0 : (action->to_bytes - guest->actual_bytes) / MA_MIB;
}

/* Half of 2600, less half of what is kept. */
static void what_cannot_be_asked_back_goes_back_at_once(void) {
    static struct test_host host;
    struct ma_guest *guest;

    begin(&host, 2600);
    guest = add_shrunk(&host, "whole", 8192, 4096);
    test_host_tick(&host);
    CHECK_U64(given_mib(&host, guest), 1300 - 1639 / 2 - 1);
    test_host_fini(&host);
}

static void what_guests_may_take_anyway_is_not_given_as_well(void) {
    static struct test_host host;
    struct ma_guest *guest;
    struct ma_guest *grower;

    begin(&host, 2600);
    guest = add_shrunk(&host, "whole", 8192, 4096);
    grower = test_host_add(&host, "grower", 8192, 8000);
    grower->resident_bytes = 5000 * MA_MIB;
    test_host_tick(&host);
    CHECK_U64(given_mib(&host, guest), 0);
    test_host_fini(&host);
}

/* P6: what guests never take would else keep everything for ever. */
static void after_five_calm_minutes_it_goes_back_all_the_same(void) {
    static struct test_host host;
    struct ma_guest *guest;
    struct ma_guest *grower;

    begin(&host, 2600);
    guest = add_shrunk(&host, "whole", 8192, 4096);
    grower = test_host_add(&host, "grower", 8192, 8000);
    grower->resident_bytes = 5000 * MA_MIB;
    for (int k = 0; k < 299; k++) {
        test_host_tick(&host);
        CHECK_U64(given_mib(&host, guest), 0);
    }
    for (int k = 0; k < 3 && given_mib(&host, guest) == 0; k++) {
        test_host_tick(&host);
    }
    CHECK(given_mib(&host, guest) > 0);
    test_host_fini(&host);
}

/* Two of the same size: what there is goes to the one with four times the shares, whichever is first in the list. */
static void by_shares_not_in_order(void) {
    for (int is_first_rich = 0; is_first_rich < 2; is_first_rich++) {
        static struct test_host host;
        struct ma_guest *one, *two;

        begin(&host, 4000);
        one = add_shrunk(&host, "one", 16384, 8192);
        two = add_shrunk(&host, "two", 16384, 8192);
        set_shares(one, is_first_rich ? 400 : 100);
        set_shares(two, is_first_rich ? 100 : 400);
        test_host_tick(&host);
        CHECK(given_mib(&host, is_first_rich ? one : two) > 1000);
        CHECK_U64(given_mib(&host, is_first_rich ? two : one), 0);
        test_host_fini(&host);
    }
}

static void equals_get_equal_parts(void) {
    static struct test_host host;
    struct ma_guest *guests[3];

    begin(&host, 6000);
    for (int k = 0; k < 3; k++) {
        guests[k] = add_shrunk(&host, "equal", 16384, 8192);
    }
    test_host_tick(&host);
    for (int k = 0; k < 3; k++) {
        CHECK(given_mib(&host, guests[k]) >= 700);
        CHECK_U64(given_mib(&host, guests[k]), given_mib(&host, guests[0]));
    }
    test_host_fini(&host);
}

/* Ten parts that are too small to move for: one after the other is served. */
static void small_parts_are_saved_up_for_one(void) {
    static struct test_host host;
    size_t n = 0;

    begin(&host, 2600);
    for (int k = 0; k < 10; k++) {
        (void) add_shrunk(&host, "equal", 8192, 4096);
    }
    test_host_tick(&host);
    for (size_t k = 0; k < 10; k++) {
        n += given_mib(&host, &host.guests[k]) > 0;
    }
    CHECK_U64(n, 1);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(what_cannot_be_asked_back_goes_back_at_once),
         TAP_CASE(what_guests_may_take_anyway_is_not_given_as_well),
         TAP_CASE(after_five_calm_minutes_it_goes_back_all_the_same),
         TAP_CASE(by_shares_not_in_order),
         TAP_CASE(equals_get_equal_parts),
         TAP_CASE(small_parts_are_saved_up_for_one));
