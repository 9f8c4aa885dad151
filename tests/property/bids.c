/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests say of themselves, against what it may move: claims that do not count move nobody by a byte, a veto makes
 * nobody a victim.
 * MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "bid.h"
#include "property.h"
#include "random-host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define RUNS 500U
#else
#    define RUNS 1500U
#endif

/* From here on a veto that spares and one that stops must both have been met. */
#define BOTH_MET_RUNS 1500U

static uint64_t runs(void) {
    return property_runs(RUNS);
}

static void start(void) {
    has_hostile_claims = true;
    seed = property_seed(20261123, runs());
}

/* The host of that seed. */
static void host_of(struct test_host *h, uint64_t from) {
    seed = from;
    random_host(h);
}

static bool is_same_action(const struct ma_plan_action *a, const struct ma_plan_action *b) {
    return a->action == b->action && a->has_guest == b->has_guest && a->guest == b->guest &&
           a->from_bytes == b->from_bytes && a->to_bytes == b->to_bytes &&
           a->is_armed == b->is_armed && a->reason == b->reason;
}

static void stale_claims_move_nobody(void) {
    static struct test_host quiet;
    static struct test_host hostile;
    uint64_t n_actions = 0;

    start();
    for (uint64_t run = 0; run < runs(); run++) {
        uint64_t before = seed;
        uint64_t after;
        size_t liar;

        host_of(&quiet, before);
        liar = below(quiet.snapshot.n_guests);
        after = seed;
        host_of(&hostile, before);
        for (struct test_host *h = &quiet; h != NULL; h = h == &quiet ? &hostile : NULL) {
            h->guests[liar].stats.has |= MA_STATS_HAS_AGE;
            h->guests[liar].stats.age_usec = 60 * TEST_SECOND;
            memset(&h->guests[liar].pressure, 0, sizeof(h->guests[liar].pressure));
        }
        random_claims(&hostile.guests[liar]);
        test_host_plan(&quiet);
        test_host_plan(&hostile);
        if (quiet.plan.n_actions != hostile.plan.n_actions) {
            TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": %zu actions, %zu", run, before,
                     quiet.plan.n_actions, hostile.plan.n_actions);
        }
        for (size_t k = 0; k < quiet.plan.n_actions; k++) {
            if (!is_same_action(&quiet.plan.actions[k], &hostile.plan.actions[k])) {
                TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": action %zu differs", run, before, k);
            }
            n_actions++;
        }
        test_host_fini(&quiet);
        test_host_fini(&hostile);
        seed = after;
    }
    CHECK(n_actions > 0);
}

/* Is there a victim in a that is none in b? */
static bool has_new_victim(const struct test_host *a, const struct test_host *b) {
    for (size_t k = 0; k < a->plan.n_actions; k++) {
        const struct ma_plan_action *action = &a->plan.actions[k];

        if (ma_action_is_victim(action->action) &&
            test_host_victim(b, &b->guests[action->guest]) == NULL) {
            return true;
        }
    }
    return false;
}

static void set_vetoes(struct test_host *h) {
    for (size_t i = 0; i < h->snapshot.n_guests; i++) {
        struct ma_guest_memory *memory = ma_state_get(&h->state, h->guests[i].uuid);

        CHECK(memory != NULL);
        if (chance(50)) {
            memory->veto_until_usec = h->snapshot.taken_at_usec + 10 * TEST_SECOND;
        }
        memory->veto_again_usec = UINT64_MAX;
    }
}

/* Some balloons are on their way down. */
static void set_squeezes(struct test_host *h) {
    for (size_t i = 0; i < h->snapshot.n_guests; i++) {
        struct ma_guest *guest = &h->guests[i];
        struct ma_guest_memory *memory = ma_state_get(&h->state, guest->uuid);

        CHECK(memory != NULL);
        memory->veto_again_usec = UINT64_MAX;
        if (chance(60)) {
            memory->taken = MA_TAKEN_BALLOON;
            memory->balloon_before_bytes = guest->max_bytes;
            memory->balloon_ours_bytes = below(guest->actual_bytes / MA_MIB + 1) * MA_MIB;
            memory->last_direction = -1;
            memory->last_move_usec = memory->last_turn_usec = memory->last_progress_usec =
                h->snapshot.taken_at_usec - 3 * TEST_SECOND;
            memory->move_from_bytes = guest->max_bytes;
            memory->last_actual_bytes = guest->actual_bytes + 1;
            memory->rate_bytes_per_s = (1 + below(200)) * MA_MIB;
            memory->cooperation = MA_COOPERATION_GOOD;
        }
    }
}

/* Its balloon is told to stop where it is, or a MiB below. */
static bool is_stopped(const struct test_host *h, size_t i) {
    const struct ma_plan_action *move = test_host_action(h, &h->guests[i], MA_ACTION_BALLOON);
    uint64_t heading = ma_state_find(&h->state, h->guests[i].uuid)->balloon_ours_bytes;

    return move != NULL && move->to_bytes < h->guests[i].actual_bytes &&
           move->to_bytes + 2 * MA_MIB > h->guests[i].actual_bytes && heading >= move->to_bytes;
}

static bool is_vetoing(const struct test_host *h, size_t i) {
    return ma_bid_is_vetoing(ma_state_find(&h->state, h->guests[i].uuid),
                             h->snapshot.taken_at_usec);
}

static void vetoes_make_no_victim(void) {
    static struct test_host plain;
    static struct test_host vetoed;
    uint64_t n_spared = 0;
    uint64_t n_stopped = 0;

    start();
    for (uint64_t run = 0; run < runs(); run++) {
        uint64_t before = seed;
        uint64_t between;

        host_of(&plain, before);
        between = seed;
        set_squeezes(&plain);
        host_of(&vetoed, before);
        seed = between;
        set_squeezes(&vetoed);
        set_vetoes(&vetoed);
        test_host_plan(&plain);
        test_host_plan(&vetoed);
        if (has_new_victim(&vetoed, &plain)) {
            TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": a veto made a victim", run, before);
        }
        for (size_t d = 0; d < plain.plan.n_rows; d++) {
            CHECK_I64(vetoed.plan.uncovered_without_victims.mib[d],
                      plain.plan.uncovered_without_victims.mib[d]);
        }
        for (size_t i = 0; i < plain.snapshot.n_guests; i++) {
            const struct ma_plan_action *was =
                test_host_action(&plain, &plain.guests[i], MA_ACTION_BALLOON);

            n_spared += is_vetoing(&vetoed, i) && was != NULL && was->to_bytes < was->from_bytes &&
                        test_host_action(&vetoed, &vetoed.guests[i], MA_ACTION_BALLOON) == NULL;
            n_stopped += is_stopped(&vetoed, i);
            CHECK(!is_stopped(&vetoed, i) || is_vetoing(&vetoed, i) || is_stopped(&plain, i));
        }
        test_host_fini(&plain);
        test_host_fini(&vetoed);
    }
    (void) fprintf(stderr, "# %" PRIu64 " spared, %" PRIu64 " stopped\n", n_spared, n_stopped);
    CHECK(runs() < BOTH_MET_RUNS || (n_spared > 0 && n_stopped > 0));
}

static void vetoes_are_bounded(void) {
    struct ma_guest_memory memory = {.last_direction = -1};
    struct ma_snapshot snapshot = {0};
    struct ma_guest guest = {.state = MA_GUEST_RUNNING,
                             .has = MA_GUEST_HAS_ACTUAL | MA_GUEST_HAS_RESIDENT,
                             .actual_bytes = MA_GIB,
                             .resident_bytes = MA_GIB};
    uint64_t vetoed = 0;
    uint64_t runs_of_it = 0;
    bool was = false;

    start();
    ma_settings_init(&snapshot.settings);
    guest.stats.has = MA_STATS_HAS_AVAILABLE;
    for (uint64_t s = 1000; s < 1000 + 3600; s++) { /* an hour of squeezes and of claims */
        bool is;

        snapshot.taken_at_usec = s * TEST_SECOND;
        memory.last_move_usec = snapshot.taken_at_usec;
        random_claims(&guest);
        guest.pressure.some_avg10_permyriad = MA_PERMYRIAD_FULL;
        ma_bid_observe_veto(&snapshot, &guest, &memory);
        is = ma_bid_is_vetoing(&memory, snapshot.taken_at_usec);
        vetoed += is;
        runs_of_it += is && !was;
        was = is;
    }
    CHECK_U64(runs_of_it, 12);
    CHECK_U64(vetoed, 12 * 30);
}

TAP_MAIN(TAP_CASE(stale_claims_move_nobody),
         TAP_CASE(vetoes_make_no_victim),
         TAP_CASE(vetoes_are_bounded));
