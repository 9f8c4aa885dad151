/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that says for ever that it is short, among others, for an hour: with nothing to show for it it ends at its part by
 * shares, to the byte, or where it stood; where it fills what it gets, at what the others do not need.
 * MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "division.h"
#include "loan.h"
#include "property.h"
#include "random-host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define RUNS 30U
#else
#    define RUNS 100U
#endif

static uint64_t runs(void) {
    return property_runs(RUNS);
}

static void start(void) {
    seed = property_seed(20261123, runs());
}

#define SIZE_MIB 4096U

struct life {
    struct test_host h;
    uint64_t need_mib[TEST_GUESTS_MAX]; /* what each really uses */
    size_t liar;
    bool is_lying;        /* it says that it stalls */
    bool is_all_used;     /* ... and that it uses all it has */
    bool is_idle;         /* it touches nothing of what it is given */
    uint64_t stood_bytes; /* the liar's balloon, at first */
    uint64_t above_ticks; /* it has more than its part, or than that, for so long */
    uint64_t n_loans;
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
        bool is_liar = i == l->liar && l->is_lying;
        uint64_t used = is_liar && l->is_all_used ? guest->actual_bytes : l->need_mib[i] * MA_MIB;
        uint64_t available = ma_sub_floor0(guest->actual_bytes, used);

        guest->stats.claimed_available_bytes = guest->stats.claimed_free_bytes = available;
        guest->pressure = (struct ma_psi){.has = MA_PSI_HAS_SOME_AVG10};
        if (is_liar) {
            guest->pressure.some_avg10_permyriad = MA_PERMYRIAD_FULL;
        }
    }
}

/* All that guests hold, and all that is left above what the division keeps: the soft watermark, and a quarter of it where to
 * the byte is meant. */
static uint64_t pool_bytes(const struct life *l) {
    uint64_t soft = l->h.snapshot.settings.soft_watermark_bytes;
    uint64_t sum = l->h.snapshot.host.available_bytes;

    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        sum += l->h.guests[i].resident_bytes;
    }
    return ma_sub_floor0(sum, l->is_idle ? soft + soft / 4 : soft);
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
/* Until a loan is taken back: its time, and while a veto stands, or another move, that. */
#define LOAN_TICKS 240U

static uint64_t most_bytes(const struct life *l) {
    return ma_max_u64(part_bytes(l, l->liar), l->stood_bytes);
}

/* More than that is lent, never more than a look, and not for long. */
static void check_loan(struct life *l, uint64_t from) {
    uint64_t has = l->h.guests[l->liar].actual_bytes;
    uint64_t most = most_bytes(l);

    if (has <= most) {
        l->above_ticks = 0;
        return;
    }
    l->n_loans += l->above_ticks == 0;
    l->above_ticks++;
    if (has > most + LOOK_BYTES || l->above_ticks > LOAN_TICKS) {
        TAP_FAIL("from %" PRIu64 ": for %" PRIu64 " s the liar has %" PRIu64
                 " bytes, its part is %" PRIu64 ", it had %" PRIu64,
                 from, l->above_ticks, has, part_bytes(l, l->liar), l->stood_bytes);
    }
}

static void add_guest(struct life *l, size_t i, uint64_t size_mib) {
    struct ma_guest *guest = test_host_add(&l->h, "g", SIZE_MIB, 0);
    struct ma_guest_memory *memory = ma_state_get(&l->h.state, guest->uuid);

    CHECK(memory != NULL);
    guest->config.has |= MA_CONFIG_HAS_SHARES;
    guest->config.shares = (uint32_t) (250 + below(2000));
    guest->has |= MA_GUEST_HAS_GROWTH; /* none: what is touched, is touched at once */
    guest->actual_bytes = guest->resident_bytes = size_mib * MA_MIB;
    l->need_mib[i] = 300 + below(1700);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = SIZE_MIB * MA_MIB;
    memory->balloon_ours_bytes = guest->actual_bytes;
    memory->balloon_is_settled = true;
}

/* Guests that were squeezed, to half or anywhere above it, on a host at its soft watermark or above it. */
static void begin(struct life *l, uint64_t from, size_t liar, bool is_anywhere) {
    size_t n;

    seed = from;
    n = 3 + below(6);
    l->liar = liar % n;
    test_host_init(&l->h, 32, 1);
    l->h.snapshot.host.available_bytes =
        l->h.snapshot.settings.soft_watermark_bytes + below(8192) * MA_MIB;
    for (size_t i = 0; i < n; i++) {
        add_guest(l, i, SIZE_MIB / 2 + (is_anywhere ? below(SIZE_MIB / 2) : 0));
    }
    l->stood_bytes = l->h.guests[l->liar].actual_bytes;
}

static void live(struct life *l, uint64_t from, int ticks) {
    for (int tick = 0; tick < ticks; tick++) {
        speak(l);
        test_host_tick(&l->h);
        obey(l);
        if (l->is_idle && l->is_lying) {
            check_loan(l, from);
        }
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
    for (uint64_t run = 0; run < runs(); run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);

        honest = (struct life){0};
        lying = (struct life){.is_lying = true};
        begin(&honest, before, (size_t) (after % 64), false);
        begin(&lying, before, (size_t) (after % 64), false);
        live(&honest, before, 600);
        live(&lying, before, 600);
        check_lives(&honest, &lying, before);
        n_gained +=
            lying.h.guests[lying.liar].actual_bytes > honest.h.guests[lying.liar].actual_bytes;
        test_host_fini(&honest.h);
        test_host_fini(&lying.h);
        seed = after;
    }
    (void) fprintf(stderr, "# %" PRIu64 " of %" PRIu64 " liars gained\n", n_gained, runs());
}

/* The others together have less than beside one that does not lie by what its part costs, and each its guarantee. Whose
 * headroom it was depends on who moved first. */
static void check_neighbours(const struct life *honest, const struct life *lying, uint64_t from) {
    size_t who = lying->liar;
    uint64_t may_cost = ma_sub_floor0(most_bytes(lying), honest->h.guests[who].actual_bytes);
    int64_t lost = 0;

    for (size_t i = 0; i < lying->h.snapshot.n_guests; i++) {
        uint64_t had = honest->h.guests[i].actual_bytes;
        uint64_t left = lying->h.guests[i].actual_bytes;

        lost += i == who ? 0 : ma_delta_i64(had, left);
        CHECK(left >= SIZE_MIB / 2 * MA_MIB);
    }
    /* What is above the soft watermark is not given away to the last byte. */
    may_cost += lying->h.snapshot.settings.soft_watermark_bytes / 4;
    if (lost > (int64_t) may_cost) {
        TAP_FAIL("from %" PRIu64 ": the others lost %" PRIi64
                 " MiB, the liar's part costs %" PRIu64,
                 from, lost / (int64_t) MA_MIB, may_cost / MA_MIB);
    }
}

/* A mere word: it touches nothing of what it is given, wherever balloons stood. No tolerance. */
static void word_alone_is_worth_no_more_than_shares(void) {
    static struct life honest;
    static struct life lying;
    uint64_t n_loans = 0;
    uint64_t n_gained = 0;

    start();
    for (uint64_t run = 0; run < runs(); run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);
        bool is_anywhere = run % 2 != 0;

        honest = (struct life){.is_idle = true};
        lying = (struct life){.is_lying = true, .is_all_used = run % 4 < 2, .is_idle = true};
        begin(&honest, before, (size_t) (after % 64), is_anywhere);
        begin(&lying, before, (size_t) (after % 64), is_anywhere);
        live(&lying, before, 3600);
        for (unsigned more = 0; lying.above_ticks > 0 && more <= LOAN_TICKS; more++) {
            live(&lying, before, 1);
        }
        CHECK_U64(lying.above_ticks, 0);
        live(&honest, before, 3600);
        check_neighbours(&honest, &lying, before);
        n_loans += lying.n_loans;
        n_gained += lying.h.guests[lying.liar].actual_bytes > lying.stood_bytes;
        test_host_fini(&honest.h);
        test_host_fini(&lying.h);
        seed = after;
    }
    (void) fprintf(stderr, "# %" PRIu64 " loans, %" PRIu64 " of %" PRIu64 " liars gained\n",
                   n_loans, n_gained, runs());
    CHECK(runs() < RUNS || (n_loans > 0 && n_gained > 0));
}

TAP_MAIN(TAP_CASE(liar_ends_within_its_part), TAP_CASE(word_alone_is_worth_no_more_than_shares));
