/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that is short gets memory: of what is above the soft watermark at once, of others' idle memory soon. */
#include "test-host.h"

/* A guest of 8 GiB that was shrunk to 4 and uses all of them. */
static struct ma_guest *add_pressed(struct test_host *host) {
    struct ma_guest *guest = test_host_add(host, "pressed", 8192, 0);
    struct ma_guest_memory *memory;

    guest->actual_bytes = 4096 * MA_MIB;
    guest->resident_bytes = 4096 * MA_MIB;
    memory = ma_state_get(&host->state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = 4096 * MA_MIB;
    memory->balloon_is_settled = true;
    memory->last_direction = -1;
    memory->last_move_usec = host->snapshot.taken_at_usec - 3 * TEST_SECOND;
    memory->last_turn_usec = memory->last_move_usec;
    memory->seen_usec = memory->last_move_usec;
    memory->last_actual_bytes = guest->actual_bytes;
    return guest;
}

/* 64 GiB: reserve 3277 MiB, soft 6554 MiB. */
static void gets_a_quarter_at_once_where_there_is_room(void) {
    static struct test_host host;
    struct ma_guest *guest;

    test_host_init(&host, 64, 12000);
    guest = add_pressed(&host);
    test_host_tick(&host);
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON) != NULL);
    CHECK_U64(test_host_action(&host, guest, MA_ACTION_BALLOON)->to_bytes, (4096 + 2048) * MA_MIB);
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON)->reason == MA_REASON_GUEST_PRESSURE);
    test_host_fini(&host);
}

static void idle_neighbour_is_shrunk_for_it(void) {
    static struct test_host host;
    struct ma_guest *guest, *idle;

    test_host_init(&host, 64, 6600);
    guest = add_pressed(&host);
    idle = test_host_add(&host, "idle", 32768, 30000);
    test_host_tick(&host);
    CHECK(test_host_action(&host, idle, MA_ACTION_BALLOON) != NULL);
    CHECK(test_host_action(&host, idle, MA_ACTION_BALLOON)->to_bytes < idle->actual_bytes);
    /* ... and what is not there yet is not given yet (P3). */
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON) == NULL);
    test_host_fini(&host);
}

static void nobody_below_its_working_set_for_it(void) {
    static struct test_host host;
    struct ma_guest *busy;

    test_host_init(&host, 64, 6600);
    (void) add_pressed(&host);
    busy = test_host_add(&host, "busy", 32768, 2600); /* uses 30168 and 8 % of that besides */
    test_host_tick(&host);
    CHECK(test_host_action(&host, busy, MA_ACTION_BALLOON) == NULL);
    test_host_fini(&host);
}

static void what_has_just_grown_is_not_taken_again(void) {
    static struct test_host host;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(&host, 64, 5000); /* soft */
    guest = test_host_add(&host, "grown", 32768, 30000);
    memory = ma_state_get(&host.state, guest->uuid);
    CHECK(memory != NULL);
    memory->last_direction = 1;
    memory->last_move_usec = host.snapshot.taken_at_usec - 60 * TEST_SECOND;
    memory->last_turn_usec = memory->last_move_usec;
    memory->balloon_is_settled = true;
    test_host_tick(&host);
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON) == NULL);
    host.snapshot.taken_at_usec += 120 * TEST_SECOND;
    test_host_tick(&host);
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON) != NULL);
    test_host_fini(&host);
}

/* Its shares are its guarantee, which it has, and its neighbours' are all the rest; of which they use little. */
static void prepare_beyond_shares(struct test_host *host) {
    test_host_init(host, 64, 12000);
    for (size_t i = 0; i < 20; i++) {
        struct ma_guest *idle = test_host_add(host, "idle", 4096, 1900);

        idle->actual_bytes = idle->resident_bytes = 2048 * MA_MIB;
        idle->config.has |= MA_CONFIG_HAS_SHARES;
        idle->config.shares = MA_SHARES_MAX;
    }
}

static uint64_t given_mib(const struct test_host *host, const struct ma_guest *guest) {
    const struct ma_plan_action *action = test_host_action(host, guest, MA_ACTION_BALLOON);

    return action == NULL ? 0 : (action->to_bytes - action->from_bytes) / MA_MIB;
}

/* ... and then as it fills that, or not at all. */
static void beyond_its_shares_it_gets_a_little_to_see(void) {
    static struct test_host host;
    struct ma_guest *guest;

    for (int is_filling = 0; is_filling < 2; is_filling++) {
        prepare_beyond_shares(&host);
        guest = add_pressed(&host);
        guest->config.has |= MA_CONFIG_HAS_SHARES;
        guest->config.shares = 1;
        test_host_tick(&host);
        CHECK_U64(given_mib(&host, guest), 165); /* a fiftieth of its size, and a MiB */
        guest->actual_bytes += 165 * MA_MIB;
        guest->resident_bytes += is_filling != 0 ? 100 * MA_MIB : 0;
        host.snapshot.taken_at_usec += 4 * TEST_SECOND;
        test_host_tick(&host);
        CHECK_U64(given_mib(&host, guest), is_filling != 0 ? 2048 : 0);
        test_host_fini(&host);
    }
}

/* It lacks less of its shares than is worth a move: that must not keep it from being given anything. */
static void a_little_below_its_shares_it_gets_that_too(void) {
    static struct test_host host;
    struct ma_guest *guest;

    prepare_beyond_shares(&host);
    guest = add_pressed(&host);
    guest->config.has |= MA_CONFIG_HAS_SHARES | MA_CONFIG_HAS_GUARANTEE;
    guest->config.shares = 1;
    guest->config.guarantee_bytes = guest->actual_bytes + 100 * MA_MIB;
    test_host_tick(&host);
    CHECK_U64(given_mib(&host, guest), 165);
    test_host_fini(&host);
}

/* Soft: 1792 MiB are missing, and twice that is divided. */
static bool is_shrunk(int32_t last_direction, uint64_t rise_mib_per_s) {
    static struct test_host host;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;
    bool is;

    test_host_init(&host, 64, 6400);
    guest = test_host_add(&host, "guest", 40960, 12000);
    memory = ma_state_get(&host.state, guest->uuid);
    CHECK(memory != NULL);
    memory->last_direction = last_direction;
    memory->last_move_usec = host.snapshot.taken_at_usec - 600 * TEST_SECOND;
    memory->last_turn_usec = memory->last_move_usec;
    memory->balloon_is_settled = true;
    memory->used_bytes = guest->actual_bytes - 12000 * MA_MIB;
    memory->used_at_usec = host.snapshot.taken_at_usec + TEST_SECOND; /* of the next tick */
    memory->used_rise_bytes_per_s = rise_mib_per_s * MA_MIB;
    test_host_tick(&host);
    is = test_host_action(&host, guest, MA_ACTION_BALLOON) != NULL;
    test_host_fini(&host);
    return is;
}

static void what_grew_last_is_not_shrunk_for_little(void) {
    CHECK(is_shrunk(-1, 0));
    CHECK(!is_shrunk(1, 0));
}

/* 400 MiB/s for the 30 s before it could grow again. */
static void what_rises_is_not_shrunk(void) {
    CHECK(is_shrunk(-1, 10));
    CHECK(!is_shrunk(-1, 400));
}

/* Nothing is missing for anybody else: 1638 MiB are above the soft watermark, which is what is kept there. */
static void many_beside_an_idle_one_do_not_wait_for_ever(void) {
    static struct test_host host;
    unsigned n_given = 0;

    test_host_init(&host, 64, 8193);
    for (int i = 0; i < 12; i++) {
        (void) add_pressed(&host);
    }
    (void) test_host_add(&host, "idle", 32768, 30000);
    test_host_tick(&host);
    for (size_t k = 0; k < host.plan.n_actions; k++) {
        n_given += host.plan.actions[k].reason == MA_REASON_GUEST_PRESSURE ? 1 : 0;
    }
    CHECK_U64(n_given, 1);
    test_host_fini(&host);
}

/* 16 GiB: soft 1639 MiB; of 410 MiB above it nothing is missing, and the short one moves by 500 at least. */
static void what_is_there_is_too_little_for_a_move(void) {
    static struct test_host host;
    struct ma_guest *guest, *idle;
    struct ma_guest_memory *memory;

    test_host_init(&host, 16, 2050);
    guest = add_pressed(&host);
    memory = ma_state_get(&host.state, guest->uuid);
    CHECK(memory != NULL);
    guest->max_bytes = 25000 * MA_MIB;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    idle = test_host_add(&host, "idle", 8192, 7000);
    test_host_tick(&host);
    CHECK(test_host_action(&host, idle, MA_ACTION_BALLOON) != NULL);
    CHECK(test_host_action(&host, idle, MA_ACTION_BALLOON)->to_bytes < idle->actual_bytes);
    CHECK(test_host_action(&host, guest, MA_ACTION_BALLOON) == NULL);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(many_beside_an_idle_one_do_not_wait_for_ever),
         TAP_CASE(what_is_there_is_too_little_for_a_move),
         TAP_CASE(what_grew_last_is_not_shrunk_for_little),
         TAP_CASE(what_rises_is_not_shrunk),
         TAP_CASE(gets_a_quarter_at_once_where_there_is_room),
         TAP_CASE(idle_neighbour_is_shrunk_for_it),
         TAP_CASE(nobody_below_its_working_set_for_it),
         TAP_CASE(beyond_its_shares_it_gets_a_little_to_see),
         TAP_CASE(a_little_below_its_shares_it_gets_that_too),
         TAP_CASE(what_has_just_grown_is_not_taken_again));
