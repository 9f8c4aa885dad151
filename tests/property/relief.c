/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Relief on a host that is hard pressed: what guests that are short get is paid twice, by what idle ones do not use; it
 * makes nobody a victim, in the plan or later, also where balloons stop half-way. MEMARB_PROPERTY_RUNS,
 * MEMARB_PROPERTY_SEED. */
#include "need.h"
#include "property.h"
#include "random-host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define RUNS 1000U
#else
#    define RUNS 6000U
#endif
/* From here on what is looked for must have been met. */
#define MET_RUNS 6000U

static uint64_t runs(void) {
    return property_runs(RUNS);
}

/* Guests that were squeezed, and those among them that say they are short and are believed. Without bids: the same, and
 * nothing to have back. */
static void set_squeezed(struct test_host *h, bool has_bids) {
    for (size_t i = 0; i < h->snapshot.n_guests; i++) {
        struct ma_guest *guest = &h->guests[i];
        struct ma_guest_memory *memory = ma_state_get(&h->state, guest->uuid);

        CHECK(memory != NULL);
        if (!chance(40)) {
            continue;
        }
        guest->actual_bytes = guest->resident_bytes = guest->max_bytes / 2;
        guest->stats.claimed_available_bytes = guest->stats.claimed_free_bytes = 0;
        memory->taken = MA_TAKEN_BALLOON;
        memory->balloon_before_bytes = has_bids ? guest->max_bytes : guest->actual_bytes;
        memory->balloon_ours_bytes = memory->last_actual_bytes = guest->actual_bytes;
        memory->balloon_is_settled = true;
        memory->last_direction = -1;
        memory->veto_again_usec = UINT64_MAX;
        memory->last_move_usec = memory->last_turn_usec = memory->seen_usec =
            h->snapshot.taken_at_usec - 60 * TEST_SECOND;
    }
}

static void host_of(struct test_host *h, uint64_t from, bool has_bids) {
    seed = from;
    random_host(h);
    set_squeezed(h, has_bids);
}

static bool is_relief(const struct ma_plan_action *action) {
    return action->action == MA_ACTION_BALLOON && action->is_armed &&
           action->to_bytes > action->from_bytes && action->reason == MA_REASON_GUEST_PRESSURE;
}

/* What is given, in MiB; 0: nothing. With the rules it goes by. */
static int64_t check_payment(const struct test_host *h, uint64_t run) {
    int64_t given = 0;
    int64_t returned = 0;
    struct ma_resource ram;

    ma_need_resource(&h->snapshot, &h->plan.rows[0], &ram);
    for (size_t k = 0; k < h->plan.n_actions; k++) {
        const struct ma_plan_action *action = &h->plan.actions[k];

        if (is_relief(action)) {
            given -= action->frees.mib[0];
        } else if (action->has_frees && action->is_armed) {
            returned += action->frees.mib[0];
        }
    }
    if (given == 0 || h->plan.pressure < MA_PRESSURE_HARD || ram.available_bytes > ram.soft_bytes) {
        return 0;
    }
    if (returned - h->plan.deficits.mib[0] < 2 * given) {
        TAP_FAIL("run %" PRIu64 ": %" PRIi64 " given, %" PRIi64 " returned, %" PRIi64 " short", run,
                 given, returned, h->plan.deficits.mib[0]);
    }
    CHECK(ram.available_bytes >= ma_min_u64(ram.critical_bytes + 2 * (uint64_t) given * MA_MIB,
                                            ram.reserve_bytes + 3 * (uint64_t) given * MA_MIB));
    CHECK_U64(test_host_count_victims(h, false), 0);
    CHECK_I64(h->plan.uncovered.mib[0], 0);
    return given;
}

/* Everything that the one does, the other does at least. */
static void check_rest(const struct test_host *quiet, const struct test_host *bidding) {
    CHECK_U64(test_host_count_victims(bidding, false), test_host_count_victims(quiet, false));
    for (size_t k = 0; k < quiet->plan.n_actions; k++) {
        const struct ma_plan_action *was = &quiet->plan.actions[k];
        const struct ma_plan_action *is;

        if (!was->has_guest) {
            continue;
        }
        is = test_host_action(bidding, &bidding->guests[was->guest], was->action);
        CHECK(is != NULL);
        if (is != NULL && was->to_bytes < was->from_bytes) {
            CHECK(is->to_bytes <= was->to_bytes);
        }
    }
    for (size_t d = 0; d < quiet->plan.n_rows; d++) {
        CHECK_I64(bidding->plan.uncovered.mib[d], quiet->plan.uncovered.mib[d]);
        CHECK_I64(bidding->plan.deficits.mib[d], quiet->plan.deficits.mib[d]);
    }
}

static void relief_is_paid_and_changes_nothing_else(void) {
    static struct test_host quiet;
    static struct test_host bidding;
    uint64_t n_given[MA_PRESSURE_COUNT] = {0};

    seed = property_seed(20261201, runs());
    for (uint64_t run = 0; run < runs(); run++) {
        uint64_t before = seed;
        int64_t given;

        host_of(&quiet, before, false);
        host_of(&bidding, before, true);
        test_host_plan(&quiet);
        test_host_plan(&bidding);
        given = check_payment(&bidding, run);
        n_given[bidding.plan.pressure] += given > 0;
        CHECK_I64(check_payment(&quiet, run), 0);
        if (bidding.plan.has_certificate) {
            check_rest(&quiet, &bidding);
        }
        test_host_fini(&quiet);
        test_host_fini(&bidding);
    }
    (void) fprintf(stderr, "# given: %" PRIu64 " hard, %" PRIu64 " critical\n",
                   n_given[MA_PRESSURE_HARD], n_given[MA_PRESSURE_CRITICAL]);
    CHECK(runs() < MET_RUNS || n_given[MA_PRESSURE_HARD] + n_given[MA_PRESSURE_CRITICAL] > 0);
}

/* --- a minute of a host whose guests need what they need --- */

#define SIZE_MIB    8192U
#define LIFE_TICKS  60
#define GUESTS_MOST 8U

struct life {
    struct test_host h;
    uint64_t need_mib[GUESTS_MOST];
    uint64_t rate_mib[GUESTS_MOST];
    uint64_t target_bytes[GUESTS_MOST];
    uint64_t stops_at_bytes[GUESTS_MOST]; /* its balloon goes no lower */
    uint64_t n_victims;
    uint64_t least_bytes; /* that the host had left */
    uint64_t given_bytes;
};

static bool is_squeezed(const struct life *l, size_t i) {
    return l->need_mib[i] == SIZE_MIB;
}

/* Uses all that it has, of which it had twice as much; or uses little of what it holds. */
static void add_life(struct life *l, bool has_bids) {
    bool squeezed = chance(35);
    size_t i = l->h.snapshot.n_guests;
    struct ma_guest *guest = test_host_add(&l->h, "g", SIZE_MIB, 0);
    struct ma_guest_memory *memory = ma_state_get(&l->h.state, guest->uuid);

    CHECK(memory != NULL);
    l->need_mib[i] = squeezed ? SIZE_MIB : 500 + below(7000);
    l->rate_mib[i] = 40 + below(800);
    l->stops_at_bytes[i] = chance(30) ? (SIZE_MIB / 2 + below(SIZE_MIB / 2)) * MA_MIB : 0;
    guest->actual_bytes = guest->resident_bytes = (squeezed ? SIZE_MIB / 2 : SIZE_MIB) * MA_MIB;
    l->target_bytes[i] = guest->actual_bytes;
    guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
    guest->config.guarantee_bytes = SIZE_MIB / 4 * MA_MIB;
    if (squeezed) {
        memory->taken = MA_TAKEN_BALLOON;
        memory->balloon_before_bytes = has_bids ? SIZE_MIB * MA_MIB : guest->actual_bytes;
        memory->balloon_ours_bytes = memory->last_actual_bytes = guest->actual_bytes;
        memory->balloon_is_settled = true;
        memory->last_direction = -1;
        memory->last_move_usec = memory->last_turn_usec = memory->seen_usec =
            l->h.snapshot.taken_at_usec - 60 * TEST_SECOND;
    }
}

/* What is given is touched as soon as it is there. */
static void move_balloon(struct life *l, size_t i) {
    struct ma_guest *guest = &l->h.guests[i];
    uint64_t *available = &l->h.snapshot.host.available_bytes;
    uint64_t step = l->rate_mib[i] * MA_MIB;
    uint64_t was = guest->actual_bytes;
    uint64_t to = l->target_bytes[i];

    if (to > was) {
        to = ma_min_u64(to, was + step);
        *available -= ma_min_u64(*available, to - was);
        l->given_bytes += to - was;
    } else {
        to = ma_max_u64(to, ma_sub_floor0(was, step));
        to = ma_max_u64(to, ma_min_u64(was, l->stops_at_bytes[i]));
        *available += was - to;
    }
    guest->actual_bytes = guest->resident_bytes = to;
}

static void live_a_second(struct life *l) {
    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        struct ma_guest *guest = &l->h.guests[i];

        move_balloon(l, i);
        guest->stats.claimed_available_bytes = guest->stats.claimed_free_bytes =
            ma_sub_floor0(guest->actual_bytes, l->need_mib[i] * MA_MIB);
    }
    l->least_bytes = ma_min_u64(l->least_bytes, l->h.snapshot.host.available_bytes);
    test_host_tick(&l->h);
    l->n_victims += test_host_count_victims(&l->h, false);
    for (size_t k = 0; k < l->h.plan.n_actions; k++) {
        const struct ma_plan_action *action = &l->h.plan.actions[k];

        if (action->is_armed && action->action == MA_ACTION_BALLOON) {
            l->target_bytes[action->guest] = action->to_bytes;
        }
    }
}

static void begin_life(struct life *l, uint64_t from, bool has_bids) {
    size_t n;

    seed = from;
    n = 2 + below(GUESTS_MOST - 1);
    memset(l, 0, sizeof(*l));
    test_host_init(&l->h, 64, 600 + below(6000));
    l->least_bytes = l->h.snapshot.host.available_bytes;
    for (size_t i = 0; i < n; i++) {
        add_life(l, has_bids);
    }
}

static void relief_makes_no_victim_later(void) {
    static struct life quiet;
    static struct life bidding;
    uint64_t n_relieved = 0;

    seed = property_seed(20261202, runs() / 20);
    for (uint64_t run = 0; run < runs() / 20; run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);

        begin_life(&quiet, before, false);
        begin_life(&bidding, before, true);
        for (int tick = 0; tick < LIFE_TICKS; tick++) {
            live_a_second(&quiet);
            live_a_second(&bidding);
            if (bidding.n_victims > 0 && quiet.n_victims == 0) {
                TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": relief made a victim after %d s", run,
                         before, tick);
            }
        }
        if (bidding.least_bytes < quiet.least_bytes - quiet.least_bytes / 3) {
            TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": %" PRIu64
                     " MiB were left, without %" PRIu64,
                     run, before, bidding.least_bytes / MA_MIB, quiet.least_bytes / MA_MIB);
        }
        for (size_t i = 0; i < bidding.h.snapshot.n_guests; i++) {
            CHECK(bidding.h.guests[i].actual_bytes >= SIZE_MIB / 4 * MA_MIB);
            CHECK(is_squeezed(&bidding, i) ||
                  bidding.h.guests[i].actual_bytes >= bidding.need_mib[i] * MA_MIB);
        }
        n_relieved += bidding.given_bytes > quiet.given_bytes;
        test_host_fini(&quiet.h);
        test_host_fini(&bidding.h);
        seed = after;
    }
    (void) fprintf(stderr, "# %" PRIu64 " relieved\n", n_relieved);
    CHECK(runs() < MET_RUNS || n_relieved > 0);
}

TAP_MAIN(TAP_CASE(relief_is_paid_and_changes_nothing_else), TAP_CASE(relief_makes_no_victim_later));
