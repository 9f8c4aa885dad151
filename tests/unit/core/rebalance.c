/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages that may lie elsewhere leave a short node: whose, how many, where to; and never anybody else's (R1-R5). */
#include "rebalance.h"
#include "guard.h"
#include "test-host.h"

#define NODE_MIB UINT64_C(32768)
/* Of 32 GiB, by default: reserve 1638, soft 3277, hard 2048, critical 983 MiB. */
#define SOFT_MIB UINT64_C(3277)

struct scene {
    struct test_host h;
    struct ma_guest *bound; /* makes node 1 count */
    struct ma_guest *loose;
};

static void place(struct ma_guest *guest, enum ma_placement placement) {
    guest->has |= MA_GUEST_HAS_PLACEMENT;
    guest->placement = placement;
}

/* A guest with all of its memory on node 1, which uses all of it: balloons have nothing to give. */
static struct ma_guest *
add(struct scene *s, const char *name, uint64_t mib, enum ma_placement placement) {
    struct ma_guest *guest = test_host_add(&s->h, name, mib, 0);

    place(guest, placement);
    test_guest_on_node(&s->h, guest, 1, mib);
    return guest;
}

static void begin(struct scene *s, uint64_t free0_mib, uint64_t free1_mib) {
    test_host_init(&s->h, 64, free0_mib + free1_mib);
    test_host_node(&s->h, NODE_MIB, free0_mib);
    test_host_node(&s->h, NODE_MIB, free1_mib);
    s->bound = add(s, "bound", 8192, MA_PLACEMENT_STRICT);
    s->loose = add(s, "loose", 8192, MA_PLACEMENT_PREFERRED);
}

static const struct ma_plan_action *move_of(const struct scene *s, const struct ma_guest *guest) {
    return test_host_action(&s->h, guest, MA_ACTION_REBALANCE);
}

static int64_t freed(const struct scene *s, const struct ma_plan_action *action, uint16_t node) {
    int d = ma_plan_row(&s->h.plan, MA_ROW_NODE, node);

    return d < 0 ? 0 : action->frees.mib[d];
}

static void pages_leave_a_hard_short_node(void) {
    static struct scene s;
    const struct ma_plan_action *move;
    int ram;

    begin(&s, 20000, 1900);
    test_host_tick(&s.h);
    move = move_of(&s, s.loose);
    CHECK(move != NULL && move->is_armed);
    CHECK_U64(move->reason, MA_REASON_ROOM_ELSEWHERE);
    CHECK_U64(move->from_bytes, 8192 * MA_MIB);
    CHECK_U64(move->from_bytes - move->to_bytes, MA_REBALANCE_STEP_BYTES);
    CHECK(freed(&s, move, 1) > 0);
    CHECK_I64(freed(&s, move, 0), -(int64_t) (MA_REBALANCE_STEP_BYTES / MA_MIB));
    ram = ma_plan_row(&s.h.plan, MA_ROW_RAM, 0);
    CHECK_I64(move->frees.mib[ram], 0);
    CHECK(move_of(&s, s.bound) == NULL);
    test_host_fini(&s.h);
}

static void a_node_that_is_only_soft_keeps_its_pages(void) {
    static struct scene s;

    begin(&s, 20000, SOFT_MIB - 200);
    test_host_tick(&s.h);
    CHECK(s.h.plan.pressure == MA_PRESSURE_SOFT);
    CHECK(move_of(&s, s.loose) == NULL);
    test_host_fini(&s.h);
}

static void a_node_that_binds_nobody_keeps_its_pages(void) {
    static struct scene s;

    begin(&s, 20000, 1500);
    place(s.bound, MA_PLACEMENT_PREFERRED);
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) == NULL && move_of(&s, s.bound) == NULL);
    test_host_fini(&s.h);
}

static void never_those_that_must_stay(void) {
    static struct scene s;

    for (unsigned k = 0; k < 10; k++) {
        begin(&s, 20000, 1500);
        switch (k) {
        case 0:
            place(s.loose, MA_PLACEMENT_STRICT);
            break;
        case 1:
            place(s.loose, MA_PLACEMENT_INTERLEAVE);
            break;
        case 2:
            s.loose->has &= ~(uint32_t) MA_GUEST_HAS_PLACEMENT;
            break;
        case 3:
            s.loose->has |= MA_GUEST_HAS_PINNED;
            s.loose->pinned_bytes = MA_MIB;
            break;
        case 4:
            s.loose->balloon.has |= MA_BALLOON_HAS_INHIBITED_BY;
            s.loose->balloon.inhibited_by = MA_INHIBITOR_VFIO;
            break;
        case 5:
            s.loose->balloon.has |= MA_BALLOON_HAS_INHIBITED_BY;
            s.loose->balloon.inhibited_by = MA_INHIBITOR_LOCKED;
            break;
        case 6:
            s.loose->has |= MA_GUEST_HAS_HUGEPAGES;
            s.loose->hugepage_bytes = 2 * MA_MIB;
            break;
        case 7:
            s.loose->is_held = true;
            break;
        case 8:
            s.loose->config.has |= MA_CONFIG_HAS_ACTIONS;
            s.loose->config.actions = 0;
            break;
        case 9:
            s.loose->state = MA_GUEST_MIGRATING;
            break;
        default:
            break;
        }
        test_host_tick(&s.h);
        if (move_of(&s, s.loose) != NULL) {
            TAP_FAIL("case %u is moved", k);
        }
        test_host_fini(&s.h);
    }
}

static void the_other_node_stays_above_its_soft_watermark(void) {
    static struct scene s;
    const struct ma_plan_action *move;

    begin(&s, SOFT_MIB + SOFT_MIB / 8 + 100, 1500);
    test_host_tick(&s.h);
    move = move_of(&s, s.loose);
    CHECK(move != NULL);
    CHECK(move->from_bytes - move->to_bytes <= 100 * MA_MIB);
    test_host_fini(&s.h);

    begin(&s, SOFT_MIB + 100, 1500);
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) == NULL);
    test_host_fini(&s.h);

    /* Room that its own loss will have eaten is none. */
    begin(&s, 8000, 1500);
    s.h.nodes[0].has |= MA_NODE_HAS_SLOPE;
    s.h.nodes[0].slope_bytes_per_s = -500 * (int64_t) MA_MIB;
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) == NULL);
    test_host_fini(&s.h);
}

static void one_without_a_wish_goes_first(void) {
    static struct scene s;
    struct ma_guest *any;

    begin(&s, 20000, 1500);
    any = add(&s, "any", 1024, MA_PLACEMENT_DEFAULT);
    test_host_tick(&s.h);
    CHECK(move_of(&s, any) != NULL);
    CHECK(move_of(&s, s.loose) == NULL);
    test_host_fini(&s.h);
}

static void one_step_at_a_time_and_its_rest_counts(void) {
    static struct scene s;
    uint64_t now;

    begin(&s, 20000, 1500);
    add(&s, "other", 4096, MA_PLACEMENT_PREFERRED);
    test_host_tick(&s.h);
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) == NULL); /* the first tick's goes on */
    CHECK(move_of(&s, &s.h.guests[2]) == NULL);
    now = s.h.snapshot.taken_at_usec;
    ma_state_note_outcome(&s.h.state, s.loose->uuid, MA_ACTION_REBALANCE, true, now);
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) != NULL);
    now = s.h.snapshot.taken_at_usec;
    ma_state_note_outcome(&s.h.state, s.loose->uuid, MA_ACTION_REBALANCE, false, now);
    test_host_tick(&s.h);
    CHECK(move_of(&s, s.loose) == NULL); /* the kernel would not: somebody else's turn */
    CHECK(move_of(&s, &s.h.guests[2]) != NULL);
    test_host_fini(&s.h);
}

/* Critically short by less than a step: moving covers it, so nobody dies for it (P14), planned or under way. */
static void nobody_dies_where_moving_does(void) {
    static struct scene s;

    begin(&s, 20000, 1638 - 100);
    s.h.snapshot.settings.critical_watermark_bytes = s.h.snapshot.settings.reserve_bytes;
    s.h.snapshot.settings.hard_watermark_bytes = s.h.snapshot.settings.reserve_bytes;
    for (int tick = 0; tick < 4; tick++) {
        test_host_tick(&s.h);
        CHECK(s.h.plan.pressure == MA_PRESSURE_CRITICAL);
        CHECK_U64(test_host_count_victims(&s.h, false), 0);
    }
    test_host_fini(&s.h);

    begin(&s, 20000, 1638 - 100);
    s.h.snapshot.settings.critical_watermark_bytes = s.h.snapshot.settings.reserve_bytes;
    s.h.snapshot.settings.hard_watermark_bytes = s.h.snapshot.settings.reserve_bytes;
    place(s.loose, MA_PLACEMENT_STRICT);
    test_host_tick(&s.h);
    test_host_tick(&s.h);
    CHECK(test_host_count_victims(&s.h, false) > 0); /* the same shortage without it */
    test_host_fini(&s.h);
}

static void shown_and_not_armed_under_observe(void) {
    static struct scene s;
    const struct ma_plan_action *move;

    begin(&s, 20000, 1500);
    s.h.snapshot.settings.arm = MA_ARM_OBSERVE;
    test_host_tick(&s.h);
    move = move_of(&s, s.loose);
    CHECK(move != NULL && !move->is_armed);
    CHECK_U64(move->withheld_because, MA_REASON_NOT_ARMED);
    CHECK(ma_state_find(&s.h.state, s.loose->uuid)->rebalance_until_usec == 0);
    test_host_fini(&s.h);
}

static struct ma_plan_action proposed;

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    struct ma_plan_action *action = ma_plan_add_action(plan);

    (void) input;
    *action = proposed;
    return 0;
}

static const struct ma_policy hostile = {.name = "hostile", .summary = "", .propose = propose};

static void the_guard_works_it_out_itself(void) {
    static struct scene s;
    const struct ma_plan_action *move;

    begin(&s, 20000, 1500);
    s.h.policy = &hostile;
    proposed = (struct ma_plan_action){.has_guest = true, .action = MA_ACTION_REBALANCE};
    test_host_tick(&s.h);
    CHECK_U64(s.h.plan.n_actions, 0); /* guest 0 is bound */
    CHECK_U64(test_host_trim(&s.h, s.bound, MA_ACTION_REBALANCE), MA_REASON_PLACEMENT);
    proposed.guest = 1;
    test_host_tick(&s.h);
    move = move_of(&s, s.loose);
    CHECK(move != NULL); /* all of it was asked for */
    CHECK_U64(move->from_bytes - move->to_bytes, MA_REBALANCE_STEP_BYTES);
    test_host_fini(&s.h);

    begin(&s, 20000, 20000);
    s.h.policy = &hostile;
    test_host_tick(&s.h);
    CHECK_U64(s.h.plan.n_actions, 0);
    CHECK_U64(test_host_trim(&s.h, s.loose, MA_ACTION_REBALANCE), MA_REASON_NO_LONGER_NEEDED);
    test_host_fini(&s.h);
}

TAP_MAIN(TAP_CASE(pages_leave_a_hard_short_node),
         TAP_CASE(a_node_that_is_only_soft_keeps_its_pages),
         TAP_CASE(a_node_that_binds_nobody_keeps_its_pages),
         TAP_CASE(never_those_that_must_stay),
         TAP_CASE(the_other_node_stays_above_its_soft_watermark),
         TAP_CASE(one_without_a_wish_goes_first),
         TAP_CASE(one_step_at_a_time_and_its_rest_counts),
         TAP_CASE(nobody_dies_where_moving_does),
         TAP_CASE(shown_and_not_armed_under_observe),
         TAP_CASE(the_guard_works_it_out_itself));
