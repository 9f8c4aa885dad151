/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What snapshots tell the controller's memory: P6's ledger, P12's returns. */
#include "observe.h"
#include "commit.h"
#include "facts.h"
#include "test-host.h"

static void operator_resume_exempts(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(&h, 64, 20000);
    guest = test_host_add_rigid(&h, "g", 8192);
    memory = ma_state_get(&h.state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_PAUSE;
    memory->paused_since_usec = h.snapshot.taken_at_usec;
    guest->state = MA_GUEST_PAUSED;
    test_host_tick(&h);
    guest->state = MA_GUEST_RUNNING; /* not our doing */
    test_host_tick(&h);
    memory = ma_state_find(&h.state, guest->uuid);
    CHECK(memory != NULL && (memory->taken & MA_TAKEN_PAUSE) == 0);
    h.snapshot.host.available_bytes = 0;
    test_host_plan(&h);
    CHECK_U64(h.plan.candidates[0].excluded_because, MA_REASON_RESUMED_BY_OPERATOR);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    test_host_fini(&h);
}

static void balloon_moved_by_another_is_left_alone(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(&h, 64, 1000);
    guest = test_host_add(&h, "g", 32768, 30000);
    test_host_tick(&h);
    memory = ma_state_find(&h.state, guest->uuid);
    CHECK(memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0);
    h.snapshot.host.available_bytes = 20000 * MA_MIB;
    guest->actual_bytes = memory->balloon_ours_bytes;
    test_host_tick(&h);
    guest->actual_bytes = 20000 * MA_MIB; /* the operator's hand */
    test_host_tick(&h);
    memory = ma_state_find(&h.state, guest->uuid);
    CHECK(memory != NULL && (memory->taken & MA_TAKEN_BALLOON) == 0);
    for (int k = 0; k < 120; k++) {
        test_host_tick(&h);
        CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) == NULL);
    }
    test_host_fini(&h);
}

/* A host whose only guest was told to shrink, in the first cycle. Its memory; the guest is h->guests[0]. */
static struct ma_guest_memory *begin_shrink(struct test_host *h) {
    struct ma_guest_memory *memory;

    test_host_init(h, 64, 1000);
    (void) test_host_add(h, "g", 32768, 30000);
    test_host_tick(h);
    memory = ma_state_find(&h->state, h->guests[0].uuid);
    CHECK(memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0);
    return memory;
}

/* The first command's balloon is half-way down when the second one does not reach its guest. */
static void a_command_that_fails_leaves_the_one_before_it(void) {
    static struct test_host h;
    struct ma_guest_memory *memory = begin_shrink(&h);
    struct ma_guest *guest = &h.guests[0];
    uint64_t first = memory->balloon_ours_bytes;

    guest->actual_bytes -= (guest->actual_bytes - first) / 2;
    h.plan.actions[0].from_bytes = guest->actual_bytes;
    h.plan.actions[0].to_bytes = first - MA_GIB;
    ma_commit(&h.snapshot, &h.plan, &h.state);
    CHECK_U64(memory->balloon_ours_bytes, first - MA_GIB);
    ma_state_note_outcome(&h.state, guest->uuid, MA_ACTION_BALLOON, false,
                          h.snapshot.taken_at_usec);
    CHECK(!memory->balloon_is_settled);
    CHECK_U64(memory->balloon_ours_bytes, first);
    h.snapshot.host.available_bytes = 20000 * MA_MIB;
    for (int k = 0; k < 3; k++) {
        guest->actual_bytes = first;
        test_host_tick(&h);
        memory = ma_state_find(&h.state, guest->uuid);
        CHECK(memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0);
    }
    test_host_fini(&h);
}

/* A smaller move is decided while the call of the first one has not returned: it is not sent. The first arrives at what was
 * decided last, and goes on to what it was told. */
static void a_command_that_is_not_sent_leaves_the_one_before_it(void) {
    static struct test_host h;
    struct ma_guest_memory *memory = begin_shrink(&h);
    struct ma_guest *guest = &h.guests[0];
    uint64_t first = memory->balloon_ours_bytes;
    uint64_t second = first + 2 * MA_BALLOON_ARRIVED_BYTES + MA_MIB;

    h.plan.actions[0].to_bytes = second;
    ma_commit(&h.snapshot, &h.plan, &h.state);
    CHECK_U64(memory->balloon_ours_bytes, second);
    ma_state_note_earlier_stands(&h.state, guest->uuid, MA_ACTION_BALLOON);
    CHECK_U64(memory->balloon_ours_bytes, first);
    for (int k = 0; k < 3; k++) {
        guest->actual_bytes = k == 0 ? second : first;
        h.snapshot.taken_at_usec += MA_USEC_PER_SEC;
        ma_observe(&h.snapshot, false, &h.state, &h.plan);
        CHECK((memory->taken & MA_TAKEN_BALLOON) != 0);
    }
    CHECK(memory->balloon_is_settled);
    test_host_fini(&h);
}

/* Nothing was under way: it stands where it was. */
static void a_first_command_that_fails_took_nothing(void) {
    static struct test_host h;
    struct ma_guest_memory *memory = begin_shrink(&h);

    ma_state_note_outcome(&h.state, h.guests[0].uuid, MA_ACTION_BALLOON, false,
                          h.snapshot.taken_at_usec);
    CHECK(memory->balloon_is_settled && (memory->taken & MA_TAKEN_BALLOON) == 0);
    test_host_fini(&h);
}

/* Two steps in quick succession: the host still says the first one when the second is on its way. */
static void a_resize_is_anothers_only_after_ours_was_seen(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    test_host_init(&h, 64, 20000);
    guest = test_host_add_rigid(&h, "g", 8192);
    memory = ma_state_get(&h.state, guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_RESIZE;
    memory->resize_before_bytes = 256 * MA_MIB;
    memory->resize_ours_bytes = 128 * MA_MIB;
    guest->virtio_mem.has = MA_VIRTIO_MEM_HAS_PLUGGED | MA_VIRTIO_MEM_HAS_REQUESTED;
    guest->virtio_mem.plugged_bytes = 224 * MA_MIB;
    guest->virtio_mem.requested_bytes = 192 * MA_MIB;
    ma_observe_guest(&h.snapshot, guest, memory);
    CHECK_U64(memory->taken, MA_TAKEN_RESIZE);
    guest->virtio_mem.requested_bytes = 128 * MA_MIB;
    ma_observe_guest(&h.snapshot, guest, memory);
    CHECK_U64(memory->taken, MA_TAKEN_RESIZE);
    guest->virtio_mem.requested_bytes = 160 * MA_MIB; /* the operator's hand */
    ma_observe_guest(&h.snapshot, guest, memory);
    CHECK_U64(memory->taken, 0);
    test_host_fini(&h);
}

static void two_poor_returns_disarm(void) {
    static struct test_host h;

    test_host_init(&h, 64, 1000);
    for (int k = 0; k < 2; k++) {
        h.state.pending = (struct ma_pending_victim){.is_pending = true,
                                                     .action = MA_ACTION_KILL,
                                                     .n_guests = 1,
                                                     .uuid = {"gone"},
                                                     .taken_usec = h.snapshot.taken_at_usec,
                                                     .deadline_usec = h.snapshot.taken_at_usec,
                                                     .predicted_bytes = 4096 * MA_MIB,
                                                     .available_before_bytes = 1000 * MA_MIB};
        CHECK_U64(h.state.disarmed_actions, 0);
        test_host_tick(&h);
        CHECK(!h.state.pending.is_pending);
    }
    CHECK_U64(h.state.disarmed_actions, MA_ACTION_BIT(MA_ACTION_KILL));
    test_host_fini(&h);
}

/* A kill of 4 GiB while the budget was overdrawn: available says 0 before and after. */
static void kill_under_overdrawn_budget(bool returns, bool others_grow) {
    static struct test_host h;
    struct ma_guest *left;
    struct ma_guest *victim;

    test_host_init(&h, 64, 0);
    left = test_host_add_rigid(&h, "left", 61440);
    victim = test_host_add_rigid(&h, "victim", 4096);
    (void) victim;
    for (int k = 0; k < 2; k++) {
        h.state.pending =
            (struct ma_pending_victim){.is_pending = true,
                                       .action = MA_ACTION_KILL,
                                       .n_guests = 1,
                                       .taken_usec = h.snapshot.taken_at_usec,
                                       .deadline_usec = h.snapshot.taken_at_usec + 5 * TEST_SECOND,
                                       .predicted_bytes = 4096 * MA_MIB,
                                       .held_before_bytes = ma_observe_held_bytes(&h.snapshot)};
        memcpy(h.state.pending.uuid[0], victim->uuid, strlen(victim->uuid) + 1);
        h.snapshot.n_guests = returns ? 1 : 2;
        if (others_grow) {
            test_guest_growth(left, 500);
        }
        for (int second = 0; second < 6; second++) {
            left->resident_bytes += others_grow ? 500 * MA_MIB : 0;
            test_host_tick(&h);
        }
        h.snapshot.n_guests = 2;
    }
    CHECK_U64(h.state.disarmed_actions, returns ? 0 : MA_ACTION_BIT(MA_ACTION_KILL));
    test_host_fini(&h);
}

static void a_return_under_an_overdrawn_budget_is_seen(void) {
    kill_under_overdrawn_budget(true, false);
    kill_under_overdrawn_budget(true, true);
}

static void no_return_under_an_overdrawn_budget_is_poor(void) {
    kill_under_overdrawn_budget(false, false);
    kill_under_overdrawn_budget(false, true);
}

static void a_pause_under_an_overdrawn_budget_counts_when_it_stands_still(void) {
    static struct test_host h;
    struct ma_guest *bomb;

    for (int is_paused = 0; is_paused < 2; is_paused++) {
        test_host_init(&h, 64, 0);
        bomb = test_host_add_rigid(&h, "bomb", 8192);
        for (int k = 0; k < 2; k++) {
            h.state.pending =
                (struct ma_pending_victim){.is_pending = true,
                                           .action = MA_ACTION_PAUSE,
                                           .n_guests = 1,
                                           .taken_usec = h.snapshot.taken_at_usec,
                                           .deadline_usec = h.snapshot.taken_at_usec + TEST_SECOND,
                                           .predicted_bytes = 4096 * MA_MIB,
                                           .held_before_bytes = ma_observe_held_bytes(&h.snapshot)};
            memcpy(h.state.pending.uuid[0], bomb->uuid, strlen(bomb->uuid) + 1);
            bomb->state = is_paused ? MA_GUEST_PAUSED : MA_GUEST_RUNNING;
            bomb->is_paused_by_memarb = is_paused;
            h.snapshot.taken_at_usec += TEST_SECOND;
            ma_observe_pending(&h.snapshot, &h.state, MA_USEC_INFINITY);
        }
        CHECK_U64(h.state.disarmed_actions, is_paused ? 0 : MA_ACTION_BIT(MA_ACTION_PAUSE));
        test_host_fini(&h);
    }
}

/* A guest that was asked to shut down a second ago and may take a minute, and still runs. */
static bool shutdown_is_waited_for(uint64_t time_left_usec, enum ma_action action) {
    static struct test_host h;
    struct ma_guest *leaves;
    struct ma_guest_memory *memory;
    bool is_waited_for;

    test_host_init(&h, 64, 500);
    leaves = test_host_add_rigid(&h, "leaves", 4096);
    memory = ma_state_get(&h.state, leaves->uuid);
    h.state.pending =
        (struct ma_pending_victim){.is_pending = true,
                                   .action = action,
                                   .n_guests = 1,
                                   .taken_usec = h.snapshot.taken_at_usec,
                                   .deadline_usec = h.snapshot.taken_at_usec + 60 * TEST_SECOND,
                                   .predicted_bytes = 4096 * MA_MIB,
                                   .available_before_bytes = 500 * MA_MIB};
    memcpy(h.state.pending.uuid[0], leaves->uuid, strlen(leaves->uuid) + 1);
    h.snapshot.taken_at_usec += TEST_SECOND;
    ma_observe_pending(&h.snapshot, &h.state, time_left_usec);
    is_waited_for = h.state.pending.is_pending;
    CHECK_U64(h.state.poor_returns[action], 0);
    CHECK(memory != NULL && (memory->refused_actions == 0) == is_waited_for);
    test_host_fini(&h);
    return is_waited_for;
}

static void a_shutdown_is_given_up_at_the_last_moment(void) {
    CHECK(shutdown_is_waited_for(MA_USEC_INFINITY, MA_ACTION_SHUTDOWN));
    CHECK(shutdown_is_waited_for(10 * TEST_SECOND, MA_ACTION_SHUTDOWN));
    CHECK(!shutdown_is_waited_for(TEST_SECOND, MA_ACTION_SHUTDOWN));
    CHECK(!shutdown_is_waited_for(0, MA_ACTION_SAVE));
    CHECK(shutdown_is_waited_for(0, MA_ACTION_KILL));
}

/* A host below its hard watermark with one guest whose balloon has stopped answering. */
static struct ma_guest_memory *stuck_host(struct test_host *h, struct ma_guest **ret_guest) {
    struct ma_guest_memory *memory;

    test_host_init(h, 64, 2500);
    *ret_guest = test_host_add(h, "stuck", 32768, 30000);
    memory = ma_state_get(&h->state, (*ret_guest)->uuid);
    CHECK(memory != NULL);
    memory->cooperation = MA_COOPERATION_STUCK;
    memory->probe_failures = 1;
    memory->probe_after_usec = h->snapshot.taken_at_usec + 30 * TEST_SECOND;
    return memory;
}

static void a_stuck_balloon_is_probed_when_its_time_comes(void) {
    static struct test_host h;
    struct ma_guest *guest;
    const struct ma_plan_action *probe = NULL;
    uint64_t last = 0;

    (void) stuck_host(&h, &guest);
    for (uint64_t second = 1, gap = 30; second <= 1500; second++) {
        test_host_tick(&h);
        probe = test_host_action(&h, guest, MA_ACTION_BALLOON);
        CHECK(test_host_count_victims(&h, true) == 0);
        if (second - last < gap) {
            CHECK(probe == NULL);
            continue;
        }
        CHECK(probe != NULL && probe->is_armed);
        CHECK_U64(probe->to_bytes, guest->actual_bytes - 64 * MA_MIB);
        CHECK_U64(probe->reason, MA_REASON_UNCOOPERATIVE);
        CHECK_I64(probe->frees.mib[0], 0); /* nothing is counted on */
        last = second;
        gap = ma_min_u64(gap * 2, 600);
    }
    CHECK(h.plan.uncovered.mib[0] > 0);
    test_host_fini(&h);
}

static void a_small_guest_is_probed_by_less(void) {
    static struct test_host h;
    struct ma_guest *guest;

    (void) stuck_host(&h, &guest);
    guest->max_bytes = guest->actual_bytes = guest->resident_bytes = 768 * MA_MIB;
    guest->stats.claimed_available_bytes = 600 * MA_MIB;
    h.snapshot.taken_at_usec += 30 * TEST_SECOND;
    test_host_tick(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) != NULL);
    CHECK_U64(test_host_action(&h, guest, MA_ACTION_BALLOON)->to_bytes, 720 * MA_MIB);
    test_host_fini(&h);
}

static void a_probe_that_moves_memory_is_believed(bool host_sees_it) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory *memory;

    (void) stuck_host(&h, &guest);
    guest->resident_bytes += host_sees_it ? 0 : 4096 * MA_MIB;
    h.snapshot.taken_at_usec += 30 * TEST_SECOND;
    test_host_tick(&h);
    CHECK(test_host_action(&h, guest, MA_ACTION_BALLOON) != NULL);
    guest->actual_bytes -= 64 * MA_MIB;
    guest->resident_bytes -= host_sees_it ? 64 * MA_MIB : 0;
    test_host_tick(&h);
    memory = ma_state_find(&h.state, guest->uuid);
    CHECK_U64(memory->cooperation, host_sees_it ? MA_COOPERATION_SLOW : MA_COOPERATION_STUCK);
    CHECK((test_host_action(&h, guest, MA_ACTION_BALLOON) != NULL) == host_sees_it);
    test_host_fini(&h);
}

static void a_probe_rehabilitates_only_what_the_host_sees(void) {
    a_probe_that_moves_memory_is_believed(true);
    a_probe_that_moves_memory_is_believed(false);
}

static void tick_after(struct test_host *h, uint64_t usec) {
    h->snapshot.taken_at_usec += usec;
    CHECK_I64(test_host_decide_as(h, false, false), 0);
}

/* QEMU tells the size with the first page and then once a second, while the host sees the memory come back. */
static void the_first_word_of_a_balloon_is_not_its_rate(void) {
    static struct test_host h;
    struct ma_guest *guest;
    uint64_t to_bytes;

    test_host_init(&h, 64, 100);
    guest = test_host_add(&h, "g", 32768, 20000);
    test_host_tick(&h);
    test_host_tick(&h); /* two snapshots: a victim could be taken from now on */
    to_bytes = ma_state_find(&h.state, guest->uuid)->balloon_ours_bytes;
    CHECK(to_bytes < guest->actual_bytes);
    CHECK_U64(test_host_count_victims(&h, false), 0);
    guest->actual_bytes -= MA_MIB;
    for (int k = 0; k < 8; k++) {
        tick_after(&h, TEST_SECOND / 10);
        guest->resident_bytes -= 40 * MA_MIB;
        h.snapshot.host.available_bytes += 40 * MA_MIB;
        CHECK_U64(test_host_count_victims(&h, false), 0);
        CHECK(ma_state_find(&h.state, guest->uuid)->cooperation != MA_COOPERATION_SLOW);
    }
    guest->actual_bytes = ma_state_find(&h.state, guest->uuid)->balloon_ours_bytes;
    tick_after(&h, TEST_SECOND / 10);
    CHECK_U64(ma_state_find(&h.state, guest->uuid)->cooperation, MA_COOPERATION_GOOD);
    test_host_fini(&h);
}

static void a_slow_balloon_is_known_after_two_words(void) {
    static struct test_host h;
    struct ma_guest *guest;
    const struct ma_guest_memory *memory;

    test_host_init(&h, 64, 100);
    guest = test_host_add(&h, "g", 32768, 20000);
    test_host_tick(&h);
    for (int k = 0; k < 30; k++) {
        guest->actual_bytes -= k % 10 == 1 ? 20 * MA_MIB : 0;
        tick_after(&h, TEST_SECOND / 10);
    }
    memory = ma_state_find(&h.state, guest->uuid);
    CHECK_U64(memory->cooperation, MA_COOPERATION_SLOW);
    CHECK(memory->rate_bytes_per_s >= 10 * MA_MIB && memory->rate_bytes_per_s <= 30 * MA_MIB);
    test_host_fini(&h);
}

/* An idle guest of 8 GiB is squeezed to 4 in two seconds; its words are on the way for 1.5 s. */
static void a_squeeze_is_no_rise_of_its_use(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory memory = {0};
    uint64_t begin;
    uint64_t spoken = 0;
    uint64_t spoken_actual = 8192 * MA_MIB;

    test_host_init(&h, 64, 20000);
    guest = test_host_add(&h, "idle", 8192, 7168);
    begin = h.snapshot.taken_at_usec;
    for (uint64_t k = 0; k <= 48; k++) {
        uint64_t now = begin + k * TEST_SECOND / 4;
        uint64_t moved = k < 8 ? 0 : ma_min_u64((k - 8) * 512, 4096) * MA_MIB;

        h.snapshot.taken_at_usec = now;
        guest->actual_bytes = 8192 * MA_MIB - moved;
        guest->resident_bytes = guest->actual_bytes;
        if (k % 8 == 6 || k == 0) { /* a word of one and a half seconds ago arrives */
            spoken = k == 0 ? now : now - 3 * TEST_SECOND / 2;
            spoken_actual = k < 14 ? 8192 * MA_MIB
                                   : 8192 * MA_MIB - ma_min_u64((k - 6 - 8) * 512, 4096) * MA_MIB;
            guest->stats.claimed_available_bytes = spoken_actual - 1024 * MA_MIB;
            guest->stats.claimed_free_bytes = guest->stats.claimed_available_bytes;
        }
        guest->stats.age_usec = now - spoken;
        ma_observe_guest(&h.snapshot, guest, &memory);
        CHECK(memory.used_bytes >= 1000 * MA_MIB && memory.used_bytes <= 1048 * MA_MIB);
        CHECK(memory.used_rise_bytes_per_s <= 16 * MA_MIB);
    }
    CHECK_U64(memory.walk_usec[0], 0); /* at rest for long */
    test_host_fini(&h);
}

/* A wave of ten minutes: the working set follows it down, what it comes back to does not. */
static void a_guest_is_known_by_what_it_comes_back_to(void) {
    static struct test_host h;
    struct ma_guest *guest;
    struct ma_guest_memory memory = {0};
    struct ma_facts facts;

    test_host_init(&h, 64, 20000);
    guest = test_host_add(&h, "wave", 8192, 2048);
    for (int k = 0; k < 600; k++) {
        h.snapshot.taken_at_usec += TEST_SECOND;
        guest->stats.claimed_available_bytes = (k < 5 ? 2048 : 6144) * MA_MIB;
        ma_observe_guest(&h.snapshot, guest, &memory);
    }
    ma_facts_of_guest(&h.snapshot, &h.state, guest, &memory, &facts);
    CHECK(facts.working_bytes < 4096 * MA_MIB);
    CHECK(facts.usual_bytes > 5700 * MA_MIB && facts.usual_bytes < 6764 * MA_MIB);
    test_host_fini(&h);
}

TAP_MAIN(TAP_CASE(a_squeeze_is_no_rise_of_its_use),
         TAP_CASE(a_guest_is_known_by_what_it_comes_back_to),
         TAP_CASE(the_first_word_of_a_balloon_is_not_its_rate),
         TAP_CASE(a_slow_balloon_is_known_after_two_words),
         TAP_CASE(a_stuck_balloon_is_probed_when_its_time_comes),
         TAP_CASE(a_small_guest_is_probed_by_less),
         TAP_CASE(a_probe_rehabilitates_only_what_the_host_sees),
         TAP_CASE(operator_resume_exempts),
         TAP_CASE(balloon_moved_by_another_is_left_alone),
         TAP_CASE(a_return_under_an_overdrawn_budget_is_seen),
         TAP_CASE(no_return_under_an_overdrawn_budget_is_poor),
         TAP_CASE(a_pause_under_an_overdrawn_budget_counts_when_it_stands_still),
         TAP_CASE(a_command_that_fails_leaves_the_one_before_it),
         TAP_CASE(a_command_that_is_not_sent_leaves_the_one_before_it),
         TAP_CASE(a_first_command_that_fails_took_nothing),
         TAP_CASE(two_poor_returns_disarm),
         TAP_CASE(a_resize_is_anothers_only_after_ours_was_seen),
         TAP_CASE(a_shutdown_is_given_up_at_the_last_moment));
