/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admit.c - verdicts on starts: modes, nodes, huge pages, pins, what is held for others, past victims. */
#include "admit.h"

#include "policy.h"
#include "test-host.h"

#define GIB(n) ((n) *MA_GIB)

struct bench {
    struct test_host host;
    struct ma_reservations held;
    struct ma_demand demand;
    struct ma_admit_input input;
    struct ma_admit_verdict verdict;
};

/* 64 GiB: reserve 3.2 GiB; a guest of 4 GiB that wants to start, guarantee 2 GiB, with a balloon. */
static void begin(struct bench *b, uint64_t available_mib) {
    memset(b, 0, sizeof(*b));
    test_host_init(&b->host, 64, available_mib);
    b->input = (struct ma_admit_input){.snapshot = &b->host.snapshot,
                                       .state = &b->host.state,
                                       .reservations = &b->held,
                                       .mode = MA_ADMIT_HEURISTIC};
    b->demand = (struct ma_demand){.uuid = "new", .name = "new", .is_movable = true};
    ma_demand_add(&b->demand, &(struct ma_demand_part){.bytes = GIB(4)});
}

static bool judge(struct bench *b) {
    ma_admit(&b->input, &b->demand, &b->verdict);
    return b->verdict.is_admitted;
}

static const struct ma_admit_finding *found(const struct bench *b, enum ma_admit_reason reason) {
    for (size_t i = 0; i < b->verdict.n_findings; i++) {
        if (b->verdict.findings[i].reason == reason) {
            return &b->verdict.findings[i];
        }
    }
    return NULL;
}

/* One that must be there. */
static const struct ma_admit_finding *finding(const struct bench *b, enum ma_admit_reason reason) {
    const struct ma_admit_finding *f = found(b, reason);
    if (f == NULL) {
        TAP_FAIL("no %s among %zu findings", ma_admit_reason_name(reason), b->verdict.n_findings);
    }
    return f;
}

static void end(struct bench *b) {
    test_host_fini(&b->host);
}

/* Half of it, 64 MiB and a 256th of it. */
#define NEED_MIB (2048 + 64 + 16)

static void heuristic_asks_for_room_now(void) {
    static struct bench b;
    uint64_t reserve_mib = 65536 / 20;
    begin(&b, reserve_mib + NEED_MIB + 1);
    CHECK(judge(&b));
    CHECK_U64(b.verdict.n_findings, 0);
    CHECK_U64(b.verdict.reservation.need_bytes, NEED_MIB * MA_MIB);
    b.host.snapshot.host.available_bytes = (reserve_mib + NEED_MIB - 1) * MA_MIB;
    CHECK(!judge(&b));
    const struct ma_admit_finding *f = found(&b, MA_ADMIT_NO_ROOM);
    CHECK(f != NULL && f->is_refusing);
    CHECK_U64(f->needed_bytes, NEED_MIB * MA_MIB);
    CHECK(f->there_bytes < f->needed_bytes);
    /* its operator promises it less */
    b.demand.has_guarantee = true;
    b.demand.guarantee_bytes = GIB(1);
    CHECK(judge(&b));
    end(&b);
}

static void balloons_make_room_only_where_they_may(void) {
    static struct bench b;
    begin(&b, 3277);
    /* 16 GiB resident, half of it idle: 8 GiB can come back above its guarantee */
    struct ma_guest *idle = test_host_add(&b.host, "idle", 16384, 12288);
    CHECK(judge(&b));
    idle->is_held = true;
    CHECK(!judge(&b));
    idle->is_held = false;
    b.host.snapshot.settings.arm = MA_ARM_OBSERVE;
    CHECK(!judge(&b));
    end(&b);
}

static void always_tells_and_refuses_nothing(void) {
    static struct bench b;
    begin(&b, 100);
    b.input.mode = MA_ADMIT_ALWAYS;
    CHECK(judge(&b));
    CHECK(found(&b, MA_ADMIT_NO_ROOM) != NULL && !finding(&b, MA_ADMIT_NO_ROOM)->is_refusing);
    end(&b);
}

static void strict_keeps_the_sum_of_promises(void) {
    static struct bench b;
    begin(&b, 40000);
    struct ma_guest *g = test_host_add(&b.host, "a", 32768, 100);
    g->resident_bytes = GIB(16);
    g->config.has |= MA_CONFIG_HAS_GUARANTEE;
    g->config.guarantee_bytes = GIB(30);
    b.input.mode = MA_ADMIT_STRICT;
    /* total 64 - reserve 3.2 - own (64 - 39.06 - 16 = 8.9) = 51.8; 30 promised leave 21.8 for 2.08 */
    CHECK(judge(&b));
    g->config.guarantee_bytes = GIB(31) + GIB(19);
    g->max_bytes = GIB(60);
    CHECK(!judge(&b));
    const struct ma_admit_finding *f = found(&b, MA_ADMIT_NO_COMMITMENT);
    CHECK(f != NULL && f->needed_bytes == NEED_MIB * MA_MIB && f->there_bytes < GIB(2));
    b.input.mode = MA_ADMIT_HEURISTIC;
    CHECK(judge(&b));
    end(&b);
}

static void what_no_balloon_returns_counts_whole(void) {
    static struct bench b;
    begin(&b, 40000);
    struct ma_guest *g = test_host_add(&b.host, "a", 8192, 100);
    CHECK_U64(ma_commitment_bytes(&b.host.snapshot.settings, g), GIB(4));
    g->balloon.inhibited_by = MA_INHIBITOR_STARTING;
    g->balloon.state = MA_BALLOON_INHIBITED;
    CHECK_U64(ma_commitment_bytes(&b.host.snapshot.settings, g), GIB(4)); /* it only boots */
    g->balloon.inhibited_by = MA_INHIBITOR_VFIO;
    CHECK_U64(ma_commitment_bytes(&b.host.snapshot.settings, g), GIB(8));
    g->balloon.state = MA_BALLOON_ABSENT;
    g->balloon.inhibited_by = 0;
    CHECK_U64(ma_commitment_bytes(&b.host.snapshot.settings, g), GIB(8));
    b.demand.is_movable = false;
    CHECK(judge(&b));
    CHECK_U64(b.verdict.reservation.committed_bytes, GIB(4) + (64 + 16) * MA_MIB);
    end(&b);
}

static void pins_count_from_the_start(void) {
    static struct bench b;
    begin(&b, 3277 + 3000);
    b.demand.pinned_bytes = GIB(4);
    b.demand.is_movable = false;
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_NO_ROOM)->needed_bytes, GIB(4) + (64 + 16) * MA_MIB);
    b.host.snapshot.host.available_bytes = GIB(30);
    CHECK(judge(&b));
    /* two devices behind a vIOMMU count twice */
    b.demand.pin_account_bytes = GIB(8);
    b.demand.has_pin_limit = true;
    b.demand.pin_limit_bytes = GIB(5);
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_PIN_LIMIT)->there_bytes, GIB(5));
    b.demand.pin_limit_bytes = GIB(8);
    CHECK(judge(&b));
    b.host.snapshot.host.has |= MA_HOST_HAS_PIN_BUDGET;
    b.host.snapshot.host.pin_budget_bytes = GIB(6);
    CHECK(judge(&b));
    struct ma_guest *g = test_host_add(&b.host, "gpu", 8192, 100);
    g->has |= MA_GUEST_HAS_PINNED;
    g->pinned_bytes = GIB(3);
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_PIN_BUDGET)->there_bytes, GIB(3));
    end(&b);
}

static void a_limit_above_the_host_is_told_and_refuses_nothing(void) {
    static struct bench b;
    begin(&b, 40000);
    b.demand.memlock_bytes = UINT64_MAX;
    CHECK(judge(&b));
    CHECK(found(&b, MA_ADMIT_MEMLOCK_TOO_HIGH) != NULL);
    b.demand.memlock_bytes = GIB(5);
    CHECK(judge(&b));
    CHECK(found(&b, MA_ADMIT_MEMLOCK_TOO_HIGH) == NULL);
    end(&b);
}

static void a_binding_is_judged_on_its_nodes(void) {
    static struct bench b;
    begin(&b, 40000);
    (void) test_host_node(&b.host, 32768, 38000);
    struct ma_node *full = test_host_node(&b.host, 32768, 2000);
    b.demand.parts[0].node_mask = 2;
    CHECK(!judge(&b));
    const struct ma_admit_finding *f = found(&b, MA_ADMIT_NO_NODE);
    CHECK(f != NULL);
    CHECK_U64(f->node_mask, 2);
    CHECK_U64(f->needed_bytes, GIB(2));
    CHECK(found(&b, MA_ADMIT_NO_ROOM) == NULL);
    b.demand.parts[0].node_mask = 3;
    CHECK(judge(&b));
    /* a guest on that node that can return 4 GiB of it */
    struct ma_guest *g = test_host_add(&b.host, "idle", 16384, 12288);
    b.host.guest_nodes[0][0] = (struct ma_guest_node){.id = 1, .resident_bytes = g->resident_bytes};
    g->nodes = b.host.guest_nodes[0];
    g->n_nodes = 1;
    b.demand.parts[0].node_mask = 2;
    CHECK(judge(&b));
    /* a node that is not there has nothing; a host without rows is not judged */
    b.demand.parts[0].node_mask = 4;
    CHECK(!judge(&b));
    b.host.snapshot.host.n_nodes = 0;
    g->n_nodes = 0;
    CHECK(judge(&b));
    (void) full;
    end(&b);
}

static void nested_bindings_are_judged_together(void) {
    static struct bench b;
    begin(&b, 60000);
    (void) test_host_node(&b.host, 32768, 1638 + 3000);
    (void) test_host_node(&b.host, 32768, 1638 + 1000);
    b.demand.n_parts = 0;
    ma_demand_add(&b.demand, &(struct ma_demand_part){.bytes = GIB(4), .node_mask = 1});
    ma_demand_add(&b.demand, &(struct ma_demand_part){.bytes = GIB(5), .node_mask = 3});
    /* 2 GiB fit node 0, 2.5 GiB fit both, 4.5 GiB do not fit both together */
    CHECK(!judge(&b));
    CHECK_U64(b.verdict.n_findings, 1);
    CHECK_U64(finding(&b, MA_ADMIT_NO_NODE)->node_mask, 3);
    CHECK_U64(finding(&b, MA_ADMIT_NO_NODE)->needed_bytes, GIB(4) + GIB(1) / 2);
    end(&b);
}

static const struct ma_admit_pool pools[] = {
    {.node = 0, .page_bytes = 2 * MA_MIB, .free_bytes = GIB(6)},
    {.node = 1, .page_bytes = 2 * MA_MIB, .free_bytes = GIB(1)},
    {.node = 1, .page_bytes = GIB(1), .free_bytes = GIB(8)},
    {.node = MA_ADMIT_POOL_ANYWHERE, .page_bytes = 2 * MA_MIB, .owned_bytes = GIB(1)},
};

static void huge_pages_by_size_and_node(void) {
    static struct bench b;
    begin(&b, 3277 + 100); /* no ordinary room for it: only QEMU's share is needed */
    b.demand.parts[0].page_bytes = 2 * MA_MIB;
    CHECK(judge(&b)); /* pools not known: not judged */
    b.input.pools = pools;
    b.input.n_pools = 4;
    CHECK(judge(&b)); /* 6 + 1 - 1 promised */
    b.demand.parts[0].bytes = GIB(6) + 1;
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_NO_HUGEPAGES)->needed_bytes, GIB(6) + 2 * MA_MIB);
    CHECK_U64(finding(&b, MA_ADMIT_NO_HUGEPAGES)->there_bytes, GIB(6));
    b.demand.parts[0].bytes = GIB(1);
    b.demand.parts[0].node_mask = 2;
    CHECK(!judge(&b)); /* the promised ones may be taken from there */
    CHECK_U64(finding(&b, MA_ADMIT_NO_HUGEPAGES)->node_mask, 2);
    b.demand.parts[0].page_bytes = GIB(1);
    CHECK(judge(&b));
    b.demand.parts[0].page_bytes = 64 * MA_KIB; /* a size that the host has not */
    CHECK(!judge(&b));
    end(&b);
}

static void what_is_held_for_others_is_not_given_twice(void) {
    static struct bench b;
    begin(&b, 3277 + NEED_MIB + 1000);
    CHECK(judge(&b));
    struct ma_reservation first = b.verdict.reservation;
    first.made_usec = b.host.snapshot.taken_at_usec;
    first.expires_usec = first.made_usec + 60 * TEST_SECOND;
    ma_reservations_put(&b.held, &first);
    CHECK(judge(&b)); /* itself: restore asks, then prepare */
    (void) snprintf(b.demand.uuid, sizeof(b.demand.uuid), "other");
    CHECK(!judge(&b));
    /* the first one takes what it was promised: available falls, and so does what is held */
    struct ma_guest *g = test_host_add(&b.host, "new", 4096, 100);
    g->uuid = "new";
    g->uptime_usec = 0;
    g->resident_bytes = 2000 * MA_MIB;
    b.host.snapshot.host.available_bytes -= 2000 * MA_MIB;
    CHECK_U64(ma_reservation_left_bytes(&b.held.items[0], &b.host.snapshot),
              (NEED_MIB - 2000) * MA_MIB);
    CHECK(!judge(&b));
    b.host.snapshot.host.available_bytes += GIB(2);
    CHECK(judge(&b));
    end(&b);
}

static void a_promise_of_pages_and_nodes_is_held_too(void) {
    static struct bench b;
    begin(&b, 60000);
    (void) test_host_node(&b.host, 32768, 1638 + 3000);
    (void) test_host_node(&b.host, 32768, 30000);
    b.input.pools = pools;
    b.input.n_pools = 4;
    b.demand.parts[0].node_mask = 1;
    ma_demand_add(&b.demand, &(struct ma_demand_part){.bytes = GIB(4), .page_bytes = 2 * MA_MIB});
    CHECK(judge(&b));
    struct ma_reservation first = b.verdict.reservation;
    first.expires_usec = UINT64_MAX;
    first.made_usec = b.host.snapshot.taken_at_usec;
    ma_reservations_put(&b.held, &first);
    (void) snprintf(b.demand.uuid, sizeof(b.demand.uuid), "other");
    CHECK(!judge(&b));
    CHECK(found(&b, MA_ADMIT_NO_NODE) != NULL);
    CHECK_U64(finding(&b, MA_ADMIT_NO_HUGEPAGES)->there_bytes, GIB(2));
    CHECK(found(&b, MA_ADMIT_NO_ROOM) == NULL);
    end(&b);
}

static void past_victims_wait_in_every_mode(void) {
    for (unsigned mode = 0; mode < MA_ADMIT_MODE_COUNT; mode++) {
        static struct bench b;
        begin(&b, 40000);
        b.input.mode = (enum ma_admit_mode) mode;
        b.input.was_victim = true;
        b.input.victim_age_usec = 10 * TEST_SECOND;
        b.input.readmit_after_usec = 60 * TEST_SECOND;
        CHECK(!judge(&b));
        CHECK_U64(finding(&b, MA_ADMIT_READMIT)->wait_usec, 50 * TEST_SECOND);
        b.input.victim_age_usec = 60 * TEST_SECOND;
        CHECK(judge(&b));
        b.host.state.in_incident = true;
        CHECK(!judge(&b));
        b.host.state.in_incident = false;
        b.host.snapshot.host.available_bytes = GIB(1); /* and with room only */
        CHECK(!judge(&b));
        CHECK(finding(&b, MA_ADMIT_NO_ROOM)->is_refusing);
        b.host.snapshot.host.available_bytes = GIB(40);
        b.input.victim_age_usec = 0;
        b.input.readmit_after_usec = 0; /* switched off */
        CHECK(judge(&b));
        end(&b);
    }
}

static void a_guest_that_comes_with_its_memory_needs_it(void) {
    static struct bench b;
    begin(&b, 3277 + 3000);
    b.demand.current_bytes = GIB(3);
    CHECK(judge(&b));
    b.demand.operation = MA_DEMAND_RESTORE;
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_NO_ROOM)->needed_bytes, (3072 + 80) * MA_MIB);
    b.demand.operation = MA_DEMAND_MIGRATE;
    b.demand.current_bytes = 0; /* not said: all of it */
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_NO_ROOM)->needed_bytes, (4096 + 80) * MA_MIB);
    end(&b);
}

static void the_kernels_own_refusal_is_foreseen(void) {
    static struct bench b;
    begin(&b, 40000);
    b.host.snapshot.host.has |= MA_HOST_HAS_COMMITTED | MA_HOST_HAS_COMMIT_LIMIT;
    b.host.snapshot.host.commit_limit_bytes = GIB(20);
    b.host.snapshot.host.committed_bytes = GIB(17);
    CHECK(judge(&b)); /* shown, not enforced */
    b.input.is_commit_enforced = true;
    CHECK(!judge(&b));
    CHECK_U64(finding(&b, MA_ADMIT_KERNEL_COMMIT)->there_bytes, GIB(3));
    end(&b);
}

static void stale_figures_refuse_nothing(void) {
    static struct bench b;
    begin(&b, 10);
    b.host.snapshot.host.has |= MA_HOST_HAS_AGE;
    b.host.snapshot.host.sampled_age_usec = 3600 * TEST_SECOND;
    CHECK(judge(&b));
    CHECK(found(&b, MA_ADMIT_STALE_HOST) != NULL);
    end(&b);
}

static struct ma_reservation held_for(const char *uuid, uint64_t made, uint64_t mib) {
    struct ma_reservation r = {
        .made_usec = made, .expires_usec = made + 60 * TEST_SECOND, .need_bytes = mib * MA_MIB};
    (void) snprintf(r.uuid, sizeof(r.uuid), "%s", uuid);
    return r;
}

static void promises_end(void) {
    static struct bench b;
    begin(&b, 40000);
    uint64_t now = b.host.snapshot.taken_at_usec;
    struct ma_reservation r = held_for("new", now, 1000);
    ma_reservations_put(&b.held, &r);
    CHECK(!ma_reservations_settle(&b.held, &b.host.snapshot)); /* not there yet */
    struct ma_guest *g = test_host_add(&b.host, "new", 4096, 100);
    g->uuid = "new";
    g->resident_bytes = 10 * MA_MIB;
    g->uptime_usec = 3600 * TEST_SECOND;
    CHECK(!ma_reservations_settle(&b.held, &b.host.snapshot)); /* the one before it, ending */
    CHECK_U64(ma_reservation_left_bytes(&b.held.items[0], &b.host.snapshot), 1000 * MA_MIB);
    g->uptime_usec = 0;
    CHECK(ma_reservations_settle(&b.held, &b.host.snapshot)); /* seen */
    CHECK_U64(b.held.n, 1);
    g->resident_bytes = 1000 * MA_MIB; /* has it */
    CHECK(ma_reservations_settle(&b.held, &b.host.snapshot));
    CHECK_U64(b.held.n, 0);
    r.is_seen = true; /* came and went */
    b.host.snapshot.n_guests = 0;
    ma_reservations_put(&b.held, &r);
    CHECK(ma_reservations_settle(&b.held, &b.host.snapshot));
    r.is_seen = false; /* never came */
    ma_reservations_put(&b.held, &r);
    b.host.snapshot.taken_at_usec += 60 * TEST_SECOND;
    CHECK(ma_reservations_settle(&b.held, &b.host.snapshot));
    CHECK_U64(b.held.n, 0);
    end(&b);
}

/* A large guest that comes from another host: minutes and minutes, as long as there is news of it. Not for ever. */
static void what_still_fills_is_held_for_longer(void) {
    static const struct {
        enum ma_guest_state state;
        uint64_t grows_mib, seconds;
    } rows[] = {{MA_GUEST_MIGRATING, 10, 60 * MA_RESERVATION_MOST_TIMES},
                {MA_GUEST_MIGRATING, 0, 60},
                {MA_GUEST_RUNNING, 10, 60}, /* an idle guest never has it all */
                {MA_GUEST_STARTING, 10, 60 * MA_RESERVATION_MOST_TIMES},
                {MA_GUEST_PAUSED, 10, 60 * MA_RESERVATION_MOST_TIMES}};
    static struct bench b;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&b, 40000);
        uint64_t began = b.host.snapshot.taken_at_usec;
        struct ma_reservation r = held_for("in", began, 100000);
        r.hold_usec = 60 * TEST_SECOND;
        r.least_left_bytes = ma_reservation_whole_bytes(&r);
        ma_reservations_put(&b.held, &r);
        struct ma_guest *g = test_host_add(&b.host, "in", 120000, 100);
        g->uuid = "in";
        g->state = rows[i].state;
        g->resident_bytes = 0;
        uint64_t seconds = 0;
        for (; b.held.n > 0 && seconds < 10000; seconds++) {
            b.host.snapshot.taken_at_usec = began + seconds * TEST_SECOND;
            g->uptime_usec = seconds * TEST_SECOND;
            g->resident_bytes += rows[i].grows_mib * MA_MIB;
            (void) ma_reservations_settle(&b.held, &b.host.snapshot);
        }
        CHECK_U64(seconds - 1, rows[i].seconds);
        end(&b);
    }
}

/* Of a restore and a migration libvirt asks twice: what it is, then `prepare`, as of a start, which needs less at once. */
static void a_second_question_before_it_is_there_lowers_no_promise(void) {
    static struct bench b;
    begin(&b, 40000);
    uint64_t now = b.host.snapshot.taken_at_usec;
    struct ma_reservation incoming = held_for("new", now, 4000);
    incoming.n_parts = 1;
    incoming.parts[0] = (struct ma_demand_part){.bytes = 3900 * MA_MIB, .node_mask = 2};
    struct ma_reservation start = held_for("new", now + TEST_SECOND, 2000);
    start.n_parts = 1;
    start.parts[0] = (struct ma_demand_part){.bytes = 1900 * MA_MIB, .node_mask = 2};
    start.committed_bytes = MA_GIB;
    ma_reservations_put(&b.held, &incoming);
    ma_reservations_put(&b.held, &start);
    CHECK_U64(b.held.n, 1);
    CHECK_U64(b.held.items[0].need_bytes, 4000 * MA_MIB);
    CHECK_U64(b.held.items[0].parts[0].bytes, 3900 * MA_MIB);
    CHECK_U64(b.held.items[0].committed_bytes, MA_GIB);
    CHECK_U64(b.held.items[0].made_usec, now + TEST_SECOND);
    CHECK_U64(b.held.items[0].expires_usec, start.expires_usec);
    b.held.items[0].is_seen = true; /* it ran meanwhile: this is another start */
    ma_reservations_put(&b.held, &start);
    CHECK_U64(b.held.items[0].need_bytes, 2000 * MA_MIB);
    CHECK(!b.held.items[0].is_seen);
    end(&b);
}

static void there_is_room_for_so_many_promises(void) {
    static struct ma_reservations held;
    char uuid[16];
    for (unsigned i = 0; i < MA_RESERVATIONS_MAX + 3; i++) {
        (void) snprintf(uuid, sizeof(uuid), "g%u", i);
        struct ma_reservation r = held_for(uuid, i, 1);
        ma_reservations_put(&held, &r);
        ma_reservations_put(&held, &r);
    }
    CHECK_U64(held.n, MA_RESERVATIONS_MAX);
    CHECK_STR(held.items[0].uuid, "g3"); /* the oldest made room */
    CHECK(ma_reservations_drop(&held, "g7"));
    CHECK(!ma_reservations_drop(&held, "g7"));
}

static void parts_of_one_kind_are_one(void) {
    struct ma_demand demand = {.n_parts = 0};
    for (uint64_t i = 0; i < 40; i++) {
        ma_demand_add(&demand, &(struct ma_demand_part){.bytes = MA_GIB, .node_mask = i / 2});
    }
    CHECK(demand.n_parts <= MA_DEMAND_PARTS_MAX);
    CHECK_U64(ma_demand_ordinary_bytes(&demand), 40 * MA_GIB);
    CHECK_U64(demand.parts[0].bytes, (2 + 2 * 5) * MA_GIB); /* unbound, and what has no place */
}

TAP_MAIN(TAP_CASE(heuristic_asks_for_room_now),
         TAP_CASE(balloons_make_room_only_where_they_may),
         TAP_CASE(always_tells_and_refuses_nothing),
         TAP_CASE(strict_keeps_the_sum_of_promises),
         TAP_CASE(what_no_balloon_returns_counts_whole),
         TAP_CASE(pins_count_from_the_start),
         TAP_CASE(a_limit_above_the_host_is_told_and_refuses_nothing),
         TAP_CASE(a_binding_is_judged_on_its_nodes),
         TAP_CASE(nested_bindings_are_judged_together),
         TAP_CASE(huge_pages_by_size_and_node),
         TAP_CASE(what_is_held_for_others_is_not_given_twice),
         TAP_CASE(a_promise_of_pages_and_nodes_is_held_too),
         TAP_CASE(past_victims_wait_in_every_mode),
         TAP_CASE(a_guest_that_comes_with_its_memory_needs_it),
         TAP_CASE(the_kernels_own_refusal_is_foreseen),
         TAP_CASE(stale_figures_refuse_nothing),
         TAP_CASE(promises_end),
         TAP_CASE(what_still_fills_is_held_for_longer),
         TAP_CASE(a_second_question_before_it_is_there_lowers_no_promise),
         TAP_CASE(there_is_room_for_so_many_promises),
         TAP_CASE(parts_of_one_kind_are_one));
