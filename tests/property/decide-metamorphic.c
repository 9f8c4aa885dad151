/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must not matter to a decision does not, and what an operator says moves it the right way. Through ma_decide(), on
 * random hosts; where the lemma needs optimal plans (cover.c, "proven"), only pairs of those are compared.
 * MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "property.h"
#include "random-host.h"

static void decide(struct test_host *h) {
    h->state.n_guests = 0; /* each decision starts from nothing */
    h->state.n_pressures = 0;
    h->state.pending.is_pending = false;
    h->state.in_incident = false;
    h->state.victims_in_incident = 0;
    h->state.last_tick_usec = 0;
    CHECK_I64(test_host_decide_as(h, true, true), 0);
}

/* What the plan does with the guest, as a part of its impact: millionths of it; 0: nothing. */
static uint64_t harshness(const struct test_host *h, size_t guest) {
    const struct ma_candidate *candidate = &h->plan.candidates[guest];
    uint64_t sum = 0;

    for (uint32_t k = 0; h->plan.has_certificate && k < candidate->n_options; k++) {
        const struct ma_option *option = &h->plan.options[candidate->first_option + k];

        if (option->is_chosen) {
            sum += ma_impact_of_rung(1000000, option->rung) +
                   (option->n_steps == 2 ? ma_impact_of_rung(1000000, MA_RUNG_RECLAIM) : 0);
        }
    }
    return sum;
}

static bool is_proven(const struct test_host *h) {
    return !h->plan.has_certificate || h->plan.certificate.is_optimal;
}

/* Is it a guest whose own numeric impact decides alone what becomes of it? */
static bool is_own_master(const struct ma_guest *guest) {
    return guest->config.impact_class == MA_IMPACT_WEIGHT && guest->config.group == NULL;
}

static void raising_impact_never_brings_a_harsher_action(void) {
    static struct test_host h;
    uint64_t compared = 0;

    uint64_t runs = property_runs(30000);
    seed = property_seed(20261123, runs);
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t before = seed;
        struct ma_guest *guest;
        uint64_t then;
        bool was_proven;
        size_t i;

        random_host(&h);
        i = below(h.snapshot.n_guests);
        guest = &h.guests[i];
        decide(&h);
        then = harshness(&h, i);
        was_proven = is_proven(&h);
        if (is_own_master(guest) && guest->config.impact < MA_IMPACT_MAX) {
            guest->config.impact += (uint32_t) (1 + below(MA_IMPACT_MAX - guest->config.impact));
            decide(&h);
            compared += was_proven && is_proven(&h);
            if (was_proven && is_proven(&h) && harshness(&h, i) > then) {
                TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": guest %zu from %" PRIu64 " to %" PRIu64,
                         run, before, i, then, harshness(&h, i));
            }
        }
        test_host_fini(&h);
    }
    (void) fprintf(stderr, "# %" PRIu64 " pairs compared\n", compared);
    CHECK(compared > 0);
}

/* Where the division decides: more shares never mean a smaller balloon. */
static void raising_shares_never_shrinks_a_balloon_further(void) {
    static struct test_host h;
    uint64_t compared = 0;

    uint64_t runs = property_runs(30000);
    seed = property_seed(20261123, runs);
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t before = seed;
        struct ma_guest *guest;
        const struct ma_plan_action *action;
        uint64_t then;
        size_t i;

        random_host(&h);
        h.snapshot.host.has &= ~(uint32_t) MA_HOST_HAS_SLOPE;
        h.snapshot.host.available_bytes =
            h.snapshot.settings.reserve_bytes + below(h.snapshot.settings.reserve_bytes);
        i = below(h.snapshot.n_guests);
        guest = &h.guests[i];
        guest->config.has |= MA_CONFIG_HAS_SHARES;
        guest->config.shares = (uint32_t) (1 + below(2000));
        decide(&h);
        action = test_host_action(&h, guest, MA_ACTION_BALLOON);
        then = action != NULL ? action->to_bytes : guest->actual_bytes;
        if (!h.plan.has_certificate) {
            guest->config.shares += (uint32_t) below(5000);
            decide(&h);
            action = test_host_action(&h, guest, MA_ACTION_BALLOON);
            compared++;
            if ((action != NULL ? action->to_bytes : guest->actual_bytes) + MA_MIB < then) {
                TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": guest %zu", run, before, i);
            }
        }
        test_host_fini(&h);
    }
    (void) fprintf(stderr, "# %" PRIu64 " pairs compared\n", compared);
    CHECK(compared > 0);
}

static void swap_guests(struct test_host *h, size_t a, size_t b) {
    struct ma_guest guest = h->guests[a];
    struct ma_guest_node nodes[TEST_NODES_MAX];
    const char *uuid_a = h->guests[a].uuid;
    const char *uuid_b = h->guests[b].uuid;

    h->guests[a] = h->guests[b];
    h->guests[b] = guest;
    h->guests[a].uuid = uuid_a; /* the order of a snapshot is that of its uuids */
    h->guests[b].uuid = uuid_b;
    memcpy(nodes, h->guest_nodes[a], sizeof(nodes));
    memcpy(h->guest_nodes[a], h->guest_nodes[b], sizeof(nodes));
    memcpy(h->guest_nodes[b], nodes, sizeof(nodes));
    h->guests[a].nodes = h->guest_nodes[a];
    h->guests[b].nodes = h->guest_nodes[b];
}

struct summary {
    enum ma_pressure pressure;
    bool has_certificate;
    bool is_optimal;
    uint64_t total;
    struct ma_amounts deficits;
    struct ma_amounts uncovered;
};

static struct summary summarize(const struct test_host *h) {
    return (struct summary){.pressure = h->plan.pressure,
                            .has_certificate = h->plan.has_certificate,
                            .is_optimal = h->plan.certificate.is_optimal,
                            .total = h->plan.certificate.total_impact,
                            .deficits = h->plan.deficits,
                            .uncovered = h->plan.uncovered};
}

static void
check_alike(const struct summary *a, const struct summary *b, uint64_t run, uint64_t before) {
    bool is_comparable = !a->has_certificate || (a->is_optimal && b->is_optimal);

    if (a->pressure != b->pressure || a->has_certificate != b->has_certificate ||
        memcmp(&a->deficits, &b->deficits, sizeof(a->deficits)) != 0 ||
        (is_comparable && (memcmp(&a->uncovered, &b->uncovered, sizeof(a->uncovered)) != 0 ||
                           a->total != b->total))) {
        TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": total %" PRIu64 " and %" PRIu64, run, before,
                 a->total, b->total);
    }
}

static void the_order_of_guests_is_irrelevant(void) {
    static struct test_host h;

    uint64_t runs = property_runs(20000);
    seed = property_seed(20261123, runs);
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t before = seed;
        struct summary first;
        struct summary second;

        random_host(&h);
        decide(&h);
        first = summarize(&h);
        for (size_t i = h.snapshot.n_guests; i > 1; i--) {
            swap_guests(&h, i - 1, below(i));
        }
        decide(&h);
        second = summarize(&h);
        check_alike(&first, &second, run, before);
        test_host_fini(&h);
    }
}

/* One that has nothing to give, in no group, bound to no node. */
static void a_useless_guest_changes_nothing(void) {
    static struct test_host h;

    uint64_t runs = property_runs(20000);
    seed = property_seed(20261123, runs);
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t before = seed;
        struct summary first;
        struct summary second;
        struct ma_guest *useless;

        random_host(&h);
        decide(&h);
        first = summarize(&h);
        useless = test_host_add_rigid(&h, "useless", 4096);
        test_guest_class(useless, MA_IMPACT_NEVER);
        useless->resident_bytes = 0;
        useless->has |= MA_GUEST_HAS_PLACEMENT;
        useless->placement = MA_PLACEMENT_DEFAULT;
        decide(&h);
        second = summarize(&h);
        check_alike(&first, &second, run, before);
        CHECK_U64(h.plan.candidates[h.snapshot.n_guests - 1].n_options, 0);
        test_host_fini(&h);
    }
}

/* A guest that costs nearly nothing and returns something can only make a plan of victims cheaper. */
static void a_guest_that_goes_first_never_makes_it_dearer(void) {
    static struct test_host h;

    uint64_t runs = property_runs(20000);
    seed = property_seed(20261123, runs);
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t before = seed;
        struct summary first;
        struct summary second;
        struct ma_guest *cheap;

        random_host(&h);
        decide(&h);
        first = summarize(&h);
        cheap = test_host_add_rigid(&h, "cheap", 65536);
        test_guest_class(cheap, MA_IMPACT_FIRST);
        cheap->config.has |= MA_CONFIG_HAS_ACTIONS; /* and asks for no part of the swap */
        cheap->config.actions = MA_ACTION_BIT(MA_ACTION_KILL);
        for (uint16_t k = 0; k < h.snapshot.host.n_nodes; k++) {
            test_guest_on_node(&h, cheap, k, 65536 / h.snapshot.host.n_nodes);
        }
        cheap->has |= MA_GUEST_HAS_PLACEMENT;
        cheap->placement = MA_PLACEMENT_DEFAULT;
        decide(&h);
        second = summarize(&h);
        /* Its pages may be moved to a node with room: then less is short, and perhaps no victim is left to be cheap. */
        if (first.is_optimal && second.is_optimal && second.total > first.total &&
            memcmp(&first.deficits, &second.deficits, sizeof(first.deficits)) == 0) {
            struct ma_amounts none = {{0}};
            /* unless it covers what was out of reach before */
            if (memcmp(&first.uncovered, &none, sizeof(none)) == 0) {
                TAP_FAIL("run %" PRIu64 " from %" PRIu64 ": %" PRIu64 " to %" PRIu64, run, before,
                         first.total, second.total);
            }
        }
        test_host_fini(&h);
    }
}

TAP_MAIN(TAP_CASE(raising_impact_never_brings_a_harsher_action),
         TAP_CASE(raising_shares_never_shrinks_a_balloon_further),
         TAP_CASE(the_order_of_guests_is_irrelevant),
         TAP_CASE(a_useless_guest_changes_nothing),
         TAP_CASE(a_guest_that_goes_first_never_makes_it_dearer));
