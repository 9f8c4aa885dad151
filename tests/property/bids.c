/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests say of themselves, against what it may move: claims that do not count move nobody by a byte, a bid for ever
 * ends at the guest's part by shares where the others need theirs, a veto makes nobody a victim.
 * MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "bid.h"
#include "division.h"
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

/* --- a liar for an hour --- */

#define SIZE_MIB 4096U

struct life {
    struct test_host h;
    uint64_t need_mib[TEST_GUESTS_MAX]; /* what each really uses */
    size_t liar;
    bool is_lying; /* it says that it stalls */
    bool is_idle;  /* it touches nothing of what it is given */
    uint64_t n_relieved;
};

/* What the balloons do at once, and what is touched of what they give: all of it, or nothing. What is not touched, the host
 * still has; so has it what a guest gives back that was not touched. */
static void obey(struct life *l) {
    for (size_t k = 0; k < l->h.plan.n_actions; k++) {
        const struct ma_plan_action *action = &l->h.plan.actions[k];

        if (action->is_armed && action->action == MA_ACTION_BALLOON) {
            struct ma_guest *guest = &l->h.guests[action->guest];
            uint64_t *available = &l->h.snapshot.host.available_bytes;
            bool is_touching = action->guest != l->liar || !l->is_idle;
            uint64_t holds = is_touching ? action->to_bytes
                                         : ma_min_u64(guest->resident_bytes, action->to_bytes);

            *available = *available + guest->resident_bytes - holds;
            guest->actual_bytes = action->to_bytes;
            guest->resident_bytes = holds;
        }
    }
}

static void speak(struct life *l) {
    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        struct ma_guest *guest = &l->h.guests[i];
        uint64_t available = ma_sub_floor0(guest->actual_bytes, l->need_mib[i] * MA_MIB);

        guest->stats.claimed_available_bytes = guest->stats.claimed_free_bytes = available;
        guest->pressure = (struct ma_psi){.has = MA_PSI_HAS_SOME_AVG10};
        if (i == l->liar && l->is_lying) {
            guest->pressure.some_avg10_permyriad = MA_PERMYRIAD_FULL;
        }
    }
}

/* All that guests hold, and all that is left above what the division keeps. */
static uint64_t pool_bytes(const struct life *l) {
    uint64_t soft = l->h.snapshot.settings.soft_watermark_bytes;
    uint64_t sum = l->h.snapshot.host.available_bytes;

    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        sum += l->h.guests[i].resident_bytes;
    }
    return ma_sub_floor0(sum, soft);
}

static uint64_t margin_bytes(uint64_t need_bytes) {
    return 128 * MA_MIB + need_bytes / 100 * 8;
}

/* The part by its definition, with the solver (which has tests of its own) and without the policy: by shares as if nobody
 * used anything, or by what everybody uses; the latter only for who fills what it is given. */
static uint64_t part_bytes(const struct life *l, size_t who) {
    struct ma_division_item items[TEST_GUESTS_MAX];
    size_t n = l->h.snapshot.n_guests;
    size_t bytes = ma_division_workspace_size(n, 0);
    void *workspace = malloc(bytes);
    uint64_t short_bytes;
    uint64_t part = 0;

    CHECK(workspace != NULL);
    for (int by_need = 0; by_need < (l->is_idle ? 1 : 2); by_need++) {
        for (size_t i = 0; i < n; i++) {
            uint64_t need = l->need_mib[i] * MA_MIB;

            items[i] = (struct ma_division_item){
                .working_bytes = by_need != 0 ? need + margin_bytes(need) : 0,
                .floor_bytes = SIZE_MIB / 2 * MA_MIB,
                .ceiling_bytes = SIZE_MIB * MA_MIB,
                .shares = l->h.guests[i].config.shares,
            };
        }
        CHECK_I64(ma_division_solve(items, n, pool_bytes(l), workspace, bytes, &short_bytes), 0);
        part = ma_max_u64(part, items[who].target_bytes);
    }
    free(workspace);
    return part;
}

/* A dead band, to whole MiB and one more. */
#define LOOK_BYTES ((SIZE_MIB / 50 + 2) * MA_MIB)

static void check_relief(struct life *l, uint64_t from) {
    const struct ma_guest *guest = &l->h.guests[l->liar];
    const struct ma_plan_action *action = test_host_action(&l->h, guest, MA_ACTION_BALLOON);
    uint64_t most;

    if (action == NULL || action->reason != MA_REASON_GUEST_PRESSURE ||
        action->to_bytes <= action->from_bytes) {
        return;
    }
    l->n_relieved++;
    most = ma_max_u64(part_bytes(l, l->liar), guest->actual_bytes + LOOK_BYTES);
    if (action->to_bytes > most) {
        TAP_FAIL("from %" PRIu64 ": the liar is given %" PRIu64 " MiB, its part is %" PRIu64, from,
                 action->to_bytes / MA_MIB, part_bytes(l, l->liar) / MA_MIB);
    }
}

/* Guests that were all squeezed to half, on a host at its soft watermark or above it. */
static void live(struct life *l, uint64_t from, size_t liar) {
    size_t n;

    seed = from;
    n = 3 + below(6);
    l->liar = liar % n;
    test_host_init(&l->h, 32, 1);
    l->h.snapshot.host.available_bytes =
        l->h.snapshot.settings.soft_watermark_bytes + below(8192) * MA_MIB;
    for (size_t i = 0; i < n; i++) {
        struct ma_guest *guest = test_host_add(&l->h, "g", SIZE_MIB, 0);
        struct ma_guest_memory *memory = ma_state_get(&l->h.state, guest->uuid);

        CHECK(memory != NULL);
        guest->config.has |= MA_CONFIG_HAS_SHARES;
        guest->config.shares = (uint32_t) (250 + below(2000));
        guest->actual_bytes = guest->resident_bytes = (SIZE_MIB / 2) * MA_MIB;
        l->need_mib[i] = 300 + below(1700);
        memory->taken = MA_TAKEN_BALLOON;
        memory->balloon_before_bytes = SIZE_MIB * MA_MIB;
        memory->balloon_ours_bytes = guest->actual_bytes;
        memory->balloon_is_settled = true;
    }
    for (int tick = 0; tick < 600; tick++) {
        speak(l);
        test_host_tick(&l->h);
        if (l->is_idle) {
            check_relief(l, from);
        }
        obey(l);
    }
}

/* Dead band, whole MiB, and one step of the slew. */
#define TOLERANCE_BYTES (UINT64_C(520) * MA_MIB)

static void check_lives(const struct life *honest, const struct life *lying, uint64_t before) {
    size_t who = lying->liar;
    uint64_t had = honest->h.guests[who].actual_bytes;
    uint64_t has = lying->h.guests[who].actual_bytes;
    int64_t lost = 0;

    if (has > ma_max_u64(had, part_bytes(lying, who)) + TOLERANCE_BYTES) {
        TAP_FAIL("from %" PRIu64 ": the liar has %" PRIu64 " MiB, %" PRIu64
                 " without the lie, its part is %" PRIu64,
                 before, has / MA_MIB, had / MA_MIB, part_bytes(lying, who) / MA_MIB);
    }
    for (size_t i = 0; i < lying->h.snapshot.n_guests; i++) {
        uint64_t left = lying->h.guests[i].actual_bytes;

        CHECK(left >= SIZE_MIB / 2 * MA_MIB); /* its guarantee */
        lost += i == who ? 0 : ma_delta_i64(honest->h.guests[i].actual_bytes, left);
    }
    if (lost > (int64_t) (ma_sub_floor0(has, had) + 2 * TOLERANCE_BYTES)) {
        TAP_FAIL("from %" PRIu64 ": the others lost %" PRIi64 " MiB, the liar gained %" PRIu64,
                 before, lost / (int64_t) MA_MIB, ma_sub_floor0(has, had) / MA_MIB);
    }
}

static void liar_ends_within_its_part(void) {
    static struct life honest;
    static struct life lying;
    uint64_t n_gained = 0;

    start();
    for (uint64_t run = 0; run < runs() / 15; run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);

        honest = (struct life){0};
        lying = (struct life){.is_lying = true};
        live(&honest, before, (size_t) (after % 64));
        live(&lying, before, (size_t) (after % 64));
        check_lives(&honest, &lying, before);
        n_gained +=
            lying.h.guests[lying.liar].actual_bytes > honest.h.guests[lying.liar].actual_bytes;
        test_host_fini(&honest.h);
        test_host_fini(&lying.h);
        seed = after;
    }
    (void) fprintf(stderr, "# %" PRIu64 " of %" PRIu64 " liars gained\n", n_gained, runs() / 15);
}

/* A mere word: it touches nothing of what it is given. No tolerance but a look beyond its shares, once it has them. */
static void word_alone_is_worth_no_more_than_shares(void) {
    static struct life lying;
    uint64_t n_relieved = 0;

    start();
    for (uint64_t run = 0; run < runs() / 15; run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);

        lying = (struct life){.is_lying = true, .is_idle = true};
        live(&lying, before, (size_t) (after % 64));
        n_relieved += lying.n_relieved;
        test_host_fini(&lying.h);
        seed = after;
    }
    (void) fprintf(stderr, "# %" PRIu64 " times relieved\n", n_relieved);
    CHECK(n_relieved > 0);
}

TAP_MAIN(TAP_CASE(stale_claims_move_nobody),
         TAP_CASE(vetoes_make_no_victim),
         TAP_CASE(vetoes_are_bounded),
         TAP_CASE(liar_ends_within_its_part),
         TAP_CASE(word_alone_is_worth_no_more_than_shares));
