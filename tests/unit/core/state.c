/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "decide.h"
#include "observe.h"
#include "state.h"
#include "tap.h"
#include "test-host.h"

static void table_stays_sorted_and_bounded(void) {
    struct ma_guest_memory memory[4];
    static struct ma_state state;

    ma_state_init(&state, memory, 4, 7);
    CHECK_U64(state.started_usec, 7);
    CHECK(ma_state_get(&state, "c") != NULL);
    CHECK(ma_state_get(&state, "a") != NULL);
    CHECK(ma_state_get(&state, "b") != NULL);
    CHECK(ma_state_get(&state, "b") == ma_state_find(&state, "b"));
    CHECK_U64(state.n_guests, 3);
    CHECK_STR(state.guests[0].uuid, "a");
    CHECK_STR(state.guests[2].uuid, "c");
    CHECK(ma_state_get(&state, "d") != NULL);
    CHECK(ma_state_get(&state, "e") == NULL);
    CHECK(ma_state_find(&state, "e") == NULL);
}

static void a_walk_finds_what_a_search_finds(void) {
    struct ma_guest_memory memory[4];
    static struct ma_state state;
    const char *const in_order[] = {"", "a", "b", "bb", "c", "d", "e"};
    const char *const in_none[] = {"d", "a", "zz", "c", "b", "b", "a"};
    size_t next = 0;
    size_t start = SIZE_MAX;

    ma_state_init(&state, memory, 4, 0);
    CHECK(ma_state_find_next(&state, "a", &next) == NULL);
    for (const char *uuid = "dbca"; *uuid != '\0'; uuid++) {
        const char one[2] = {*uuid, '\0'};
        CHECK(ma_state_get(&state, one) != NULL);
    }
    for (size_t i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++) {
        CHECK(ma_state_find_next(&state, in_order[i], &next) == ma_state_find(&state, in_order[i]));
        CHECK(ma_state_find_next(&state, in_none[i], &start) == ma_state_find(&state, in_none[i]));
    }
    CHECK_U64(next, 4);
    CHECK_U64(start, 1);
}

static void uuid_that_is_too_long_is_refused(void) {
    struct ma_guest_memory memory[1];
    static struct ma_state state;
    char uuid[MA_UUID_MAX + 1];

    memset(uuid, 'x', sizeof(uuid));
    uuid[MA_UUID_MAX] = '\0';
    ma_state_init(&state, memory, 1, 0);
    CHECK(ma_state_get(&state, uuid) == NULL);
    uuid[MA_UUID_MAX - 1] = '\0';
    CHECK(ma_state_get(&state, uuid) != NULL);
}

static void copy_needs_room(void) {
    struct ma_guest_memory a[3];
    struct ma_guest_memory b[2];
    static struct ma_state from;
    static struct ma_state to;

    ma_state_init(&from, a, 3, 0);
    ma_state_init(&to, b, 2, 0);
    CHECK(ma_state_get(&from, "a") != NULL && ma_state_get(&from, "b") != NULL);
    from.seq = 9;
    CHECK_I64(ma_state_copy(&to, &from), 0);
    CHECK_U64(to.seq, 9);
    CHECK(to.guests == b && to.max_guests == 2);
    CHECK(ma_state_get(&from, "c") != NULL);
    CHECK_I64(ma_state_copy(&to, &from), -ENOSPC);
}

static void what_is_owed_is_never_forgotten(void) {
    struct ma_guest_memory memory[3];
    static struct ma_state state;

    ma_state_init(&state, memory, 3, 0);
    CHECK(ma_state_get(&state, "gone") != NULL && ma_state_get(&state, "owed") != NULL);
    state.guests[1].taken = MA_TAKEN_PAUSE;
    ma_state_prune(&state, UINT64_C(3599) * MA_USEC_PER_SEC);
    CHECK_U64(state.n_guests, 2);
    ma_state_prune(&state, UINT64_C(3601) * MA_USEC_PER_SEC);
    CHECK_U64(state.n_guests, 1);
    CHECK_STR(state.guests[0].uuid, "owed");
}

/* memarbd was killed between the intent and the command, or a stopped QEMU has it in its socket still: the balloon
 * stands where it was, and the ledger cannot tell whether it will move. */
static void balloon_that_was_never_seen_to_move_is_taken_back_too(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(&h, 64, 30000);
    guest = test_host_add(&h, "asked", 4096, 2000);
    memory = ma_state_get(&h.state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = guest->actual_bytes;
    memory->balloon_ours_bytes = guest->actual_bytes / 2;
    memory->last_move_usec = memory->seen_usec = h.snapshot.taken_at_usec;
    memory->last_actual_bytes = guest->actual_bytes;
    ma_decide_release_guest(&h.snapshot, 0, &h.state, &h.plan);
    CHECK_U64(h.plan.n_actions, 1);
    CHECK_U64(h.plan.actions[0].to_bytes, guest->actual_bytes);
    ma_plan_reset(&h.plan);
    ma_observe(&h.snapshot, false, &h.state, &h.plan);
    CHECK_U64(ma_state_find(&h.state, guest->uuid)->taken, 0);
    test_host_fini(&h);
}

static void refusals_add_up_and_end(void) {
    struct ma_guest_memory memory;

    memset(&memory, 0, sizeof(memory));
    ma_state_refuse(&memory, MA_ACTION_PAUSE, 1000, 5000);
    ma_state_refuse(&memory, MA_ACTION_RECLAIM, 2000, 1000); /* does not shorten the other's time */
    CHECK_U64(memory.refused_until_usec, 6000);
    CHECK_U64(memory.refused_actions,
              MA_ACTION_BIT(MA_ACTION_PAUSE) | MA_ACTION_BIT(MA_ACTION_RECLAIM));
    ma_state_refuse(&memory, MA_ACTION_RESIZE, 6000, 10); /* the others' time was over */
    CHECK_U64(memory.refused_until_usec, 6010);
    CHECK_U64(memory.refused_actions, MA_ACTION_BIT(MA_ACTION_RESIZE));
}

static void an_old_state_keeps_what_is_owed_and_not_what_was_short(void) {
    static char block[2 * sizeof(struct ma_guest_memory)] __attribute__((aligned(16)));
    struct ma_row ram = {.kind = MA_ROW_RAM};

    for (uint64_t age = 0; age <= 20 * MA_USEC_PER_SEC; age += 20 * MA_USEC_PER_SEC) {
        struct ma_state state;
        struct ma_guest_memory *guest;

        ma_state_init(&state, block, 2, 0);
        ma_pressure_init(&state.pressures[0], &ram);
        state.pressures[0].pressure = MA_PRESSURE_HARD;
        state.n_pressures = 1;
        state.last_tick_usec = 5 * MA_USEC_PER_SEC;
        state.victim_need_count = 3;
        state.disarmed_actions = MA_ACTION_BIT(MA_ACTION_KILL);
        state.victims_in_incident = 2;
        state.n_victims_logged = 2;
        state.pending.is_pending = true;
        guest = ma_state_get(&state, "a");
        CHECK(guest != NULL);
        guest->taken = MA_TAKEN_PAUSE;
        ma_state_take_up(&state, age);
        CHECK_U64(state.n_pressures, age > 0 ? 0 : 1);
        CHECK_U64(state.victim_need_count, 0);
        CHECK_U64(state.disarmed_actions, MA_ACTION_BIT(MA_ACTION_KILL));
        CHECK_U64(state.victims_in_incident, 2);
        CHECK_U64(state.n_victims_logged, 2);
        CHECK(state.pending.is_pending && ma_state_find(&state, "a")->taken == MA_TAKEN_PAUSE);
    }
}

TAP_MAIN(TAP_CASE(refusals_add_up_and_end),
         TAP_CASE(an_old_state_keeps_what_is_owed_and_not_what_was_short),
         TAP_CASE(table_stays_sorted_and_bounded),
         TAP_CASE(a_walk_finds_what_a_search_finds),
         TAP_CASE(uuid_that_is_too_long_is_refused),
         TAP_CASE(copy_needs_room),
         TAP_CASE(what_is_owed_is_never_forgotten),
         TAP_CASE(balloon_that_was_never_seen_to_move_is_taken_back_too));
