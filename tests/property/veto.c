/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A minute of a host that runs short, lived twice: guests that veto a squeeze, and the same without. With a veto nobody else
 * may be made a victim earlier than without, in any plan of the whole minute. MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "bid.h"
#include "property.h"
#include "random-host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define RUNS 150U
#else
#    define RUNS 600U
#endif
/* From here on what is looked for must have been met. */
#define MET_RUNS 600U

#define SIZE_MIB    8192U
#define LIFE_TICKS  60
#define GUESTS_MOST 8U

struct life {
    struct test_host h;
    bool is_vetoed;
    uint64_t need_mib[GUESTS_MOST];
    uint64_t grows_mib[GUESTS_MOST]; /* in a second */
    uint64_t rate_mib[GUESTS_MOST];  /* of its balloon */
    uint64_t target_bytes[GUESTS_MOST];
    unsigned vetoes_at[GUESTS_MOST]; /* the second; LIFE_TICKS: never */
    unsigned first_victim[GUESTS_MOST];
};

static void add(struct life *l, uint64_t loss_mib) {
    size_t i = l->h.snapshot.n_guests;
    struct ma_guest *guest = test_host_add(&l->h, "g", SIZE_MIB, 0);

    l->need_mib[i] = 300 + below(7000);
    l->rate_mib[i] = 40 + below(800);
    l->grows_mib[i] = chance(30) ? below(loss_mib) : 0;
    l->vetoes_at[i] = chance(40) ? (unsigned) below(LIFE_TICKS / 2) : LIFE_TICKS;
    l->first_victim[i] = LIFE_TICKS;
    l->target_bytes[i] = guest->actual_bytes;
    guest->resident_bytes = (l->need_mib[i] + below(SIZE_MIB - l->need_mib[i])) * MA_MIB;
    guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
    guest->config.guarantee_bytes = SIZE_MIB / 8 * MA_MIB;
    test_guest_impact(guest, (uint32_t) (1 + below(1000)));
}

static void begin(struct life *l, uint64_t from) {
    size_t n;
    uint64_t loss_mib;

    seed = from;
    n = 2 + below(GUESTS_MOST - 1);
    loss_mib = 10 + below(600);
    test_host_init(&l->h, 64, 1000 + below(8000));
    for (size_t i = 0; i < n; i++) {
        add(l, loss_mib);
    }
}

/* Balloons at their rates; what grows fills what it has. */
static void move(struct life *l, size_t i) {
    struct ma_guest *guest = &l->h.guests[i];
    uint64_t step = l->rate_mib[i] * MA_MIB;
    uint64_t held = guest->resident_bytes;

    guest->actual_bytes =
        l->target_bytes[i] > guest->actual_bytes
            ? ma_min_u64(l->target_bytes[i], guest->actual_bytes + step)
            : ma_max_u64(l->target_bytes[i], ma_sub_floor0(guest->actual_bytes, step));
    guest->resident_bytes = ma_min_u64(held + l->grows_mib[i] * MA_MIB, guest->actual_bytes);
    l->need_mib[i] = ma_min_u64(l->need_mib[i] + l->grows_mib[i], SIZE_MIB);
    test_guest_growth(guest, ma_delta_i64(guest->resident_bytes, held) / (int64_t) MA_MIB);
    l->h.snapshot.host.available_bytes =
        ma_sub_floor0(l->h.snapshot.host.available_bytes + held, guest->resident_bytes);
    guest->stats.claimed_available_bytes = guest->stats.claimed_free_bytes =
        ma_sub_floor0(guest->actual_bytes, l->need_mib[i] * MA_MIB);
}

static void set_veto(struct life *l, size_t i, unsigned second) {
    struct ma_guest_memory *memory = ma_state_get(&l->h.state, l->h.guests[i].uuid);

    CHECK(memory != NULL);
    if (!l->is_vetoed) {
        memory->veto_again_usec = UINT64_MAX; /* none of its own either */
    } else if (second == l->vetoes_at[i]) {
        memory->veto_again_usec = 0;
        ma_bid_note_veto(memory, l->h.snapshot.taken_at_usec);
    } else if (second < l->vetoes_at[i]) {
        memory->veto_again_usec = UINT64_MAX;
    }
}

static void live_a_second(struct life *l, unsigned second) {
    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        move(l, i);
        set_veto(l, i, second);
    }
    test_host_tick(&l->h);
    for (size_t k = 0; k < l->h.plan.n_actions; k++) {
        const struct ma_plan_action *action = &l->h.plan.actions[k];

        if (!action->has_guest) {
            continue;
        }
        if (ma_action_is_victim(action->action)) {
            l->first_victim[action->guest] =
                second < l->first_victim[action->guest] ? second : l->first_victim[action->guest];
        } else if (action->is_armed && action->action == MA_ACTION_BALLOON) {
            l->target_bytes[action->guest] = action->to_bytes;
        }
    }
}

static unsigned first_victim(const struct life *l) {
    unsigned first = LIFE_TICKS;

    for (size_t i = 0; i < l->h.snapshot.n_guests; i++) {
        first = l->first_victim[i] < first ? l->first_victim[i] : first;
    }
    return first;
}

static bool is_different(const struct life *a, const struct life *b) {
    for (size_t i = 0; i < a->h.snapshot.n_guests; i++) {
        if (a->target_bytes[i] != b->target_bytes[i]) {
            return true;
        }
    }
    return false;
}

/* Until the first victim: from there on the two lives are different ones. */
static void vetoes_bring_no_victim_forward(void) {
    static struct life plain;
    static struct life vetoed;
    uint64_t n_victims = 0;
    uint64_t n_different = 0;

    seed = property_seed(20261203, property_runs(RUNS));
    for (uint64_t run = 0; run < property_runs(RUNS); run++) {
        uint64_t before = seed;
        uint64_t after = tap_random(&seed);

        plain = (struct life){0};
        vetoed = (struct life){.is_vetoed = true};
        begin(&plain, before);
        begin(&vetoed, before);
        for (unsigned second = 0; second < LIFE_TICKS; second++) {
            live_a_second(&plain, second);
            live_a_second(&vetoed, second);
        }
        n_victims += first_victim(&plain) < LIFE_TICKS;
        n_different += is_different(&plain, &vetoed);
        if (first_victim(&vetoed) < first_victim(&plain)) {
            TAP_FAIL("run %" PRIu64 " from %" PRIu64
                     ": a victim after %u s, without a veto after %u s",
                     run, before, first_victim(&vetoed), first_victim(&plain));
        }
        test_host_fini(&plain.h);
        test_host_fini(&vetoed.h);
        seed = after;
    }
    (void) fprintf(stderr,
                   "# %" PRIu64 " with victims, %" PRIu64 " where a veto changed something\n",
                   n_victims, n_different);
    CHECK(property_runs(RUNS) < MET_RUNS || (n_victims > 0 && n_different > 0));
}

TAP_MAIN(TAP_CASE(vetoes_bring_no_victim_forward));
