/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that vetoes: what was under way of its squeeze stops, and comes of somebody else in the same plan; where nobody
 * else has it, no veto counts. */
#include "bid.h"
#include "test-host.h"

/* A guest of 16 GiB whose balloon is on its way from 12 to 8 GiB, at 20 MiB/s. */
static struct ma_guest *add_squeezed(struct test_host *host, bool is_vetoing) {
    struct ma_guest *guest = test_host_add(host, "squeezed", 16384, 0);
    struct ma_guest_memory *memory = ma_state_get(&host->state, guest->uuid);
    uint64_t now = host->snapshot.taken_at_usec;

    CHECK(memory != NULL);
    guest->actual_bytes = guest->resident_bytes = 12288 * MA_MIB;
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 16384 * MA_MIB;
    memory->balloon_ours_bytes = 8192 * MA_MIB;
    memory->last_direction = -1;
    memory->last_move_usec = memory->last_turn_usec = now - 5 * TEST_SECOND;
    memory->last_progress_usec = memory->seen_usec = now;
    memory->move_from_bytes = memory->resident_before_bytes = 13000 * MA_MIB;
    memory->last_actual_bytes = guest->actual_bytes;
    memory->rate_bytes_per_s = 20 * MA_MIB;
    memory->cooperation = MA_COOPERATION_GOOD;
    if (is_vetoing) {
        ma_bid_note_veto(memory, now);
    } else {
        memory->veto_again_usec = now + 100 * TEST_SECOND; /* it had one lately */
    }
    return guest;
}

struct pair {
    struct test_host host;
    struct ma_guest *squeezed, *other;
};

/* 64 GiB: reserve 3277 MiB, soft 6554 MiB. other_mib: of which the other one uses next to nothing. */
static void
plan(struct pair *p, uint64_t available_mib, uint64_t other_mib, bool is_vetoing, bool is_pressed) {
    test_host_init(&p->host, 64, available_mib);
    p->squeezed = add_squeezed(&p->host, is_vetoing);
    p->squeezed->stats.claimed_available_bytes = is_pressed ? 0 : 4096 * MA_MIB;
    p->other = test_host_add(&p->host, "other", other_mib, other_mib - 512);
    if (!is_pressed) {
        p->other->resident_bytes /= 4; /* no slew holds for what was never touched */
    }
    test_host_tick(&p->host);
}

static uint64_t taken_of_other(const struct pair *p) {
    const struct ma_plan_action *action = test_host_action(&p->host, p->other, MA_ACTION_BALLOON);
    return action != NULL ? p->other->actual_bytes - action->to_bytes : 0;
}

static const struct ma_plan_action *move_of_squeezed(const struct pair *p) {
    return test_host_action(&p->host, p->squeezed, MA_ACTION_BALLOON);
}

static bool is_stopped(const struct pair *p) {
    const struct ma_plan_action *move = move_of_squeezed(p);
    return move != NULL && move->is_armed && move->to_bytes < p->squeezed->actual_bytes &&
           move->to_bytes + 2 * MA_MIB > p->squeezed->actual_bytes;
}

/* Below the watermark by what the balloon under way does not bring in time: the planner's case. */
#define SHORT_MIB 2200U

/* A host that is not hard pressed yet, and will be: it loses 400 MiB/s. */
static void the_planner_stops_it_and_takes_the_next_option(void) {
    static struct pair pairs[2];

    for (int is_vetoing = 0; is_vetoing < 2; is_vetoing++) {
        struct pair *p = &pairs[is_vetoing];

        test_host_init(&p->host, 64, 5650);
        p->squeezed = add_squeezed(&p->host, is_vetoing != 0);
        p->squeezed->stats.claimed_available_bytes = 0;
        p->other = test_host_add(&p->host, "other", 32768, 32256);
        for (int second = 0; second < 4; second++) {
            p->host.snapshot.settings.arm = second < 3 ? MA_ARM_OBSERVE : MA_ARM_KILL;
            test_host_tick(&p->host);
            p->host.snapshot.host.available_bytes -= 400 * MA_MIB;
        }
    }
    CHECK(pairs[0].host.plan.has_certificate && pairs[1].host.plan.has_certificate);
    CHECK(pairs[1].host.plan.pressure == MA_PRESSURE_SOFT);
    CHECK(!is_stopped(&pairs[0]));
    CHECK(is_stopped(&pairs[1]));
    CHECK(taken_of_other(&pairs[1]) > taken_of_other(&pairs[0]));
    CHECK_U64(test_host_count_victims(&pairs[1].host, false), 0);
    test_host_fini(&pairs[0].host);
    test_host_fini(&pairs[1].host);
}

static void on_a_hard_pressed_host_that_is_short_it_goes_on(void) {
    static struct pair without, with;

    plan(&without, SHORT_MIB, 32768, false, true);
    CHECK(without.host.plan.has_certificate && without.host.plan.pressure == MA_PRESSURE_HARD);
    plan(&with, SHORT_MIB, 32768, true, true);
    CHECK(with.host.plan.has_certificate);
    CHECK(!is_stopped(&with));
    CHECK_U64(taken_of_other(&with), taken_of_other(&without));
    test_host_fini(&without.host);
    test_host_fini(&with.host);
}

static void where_nobody_else_has_it_no_veto_counts(void) {
    static struct pair without, with;

    plan(&without, SHORT_MIB, 1024, false, true);
    plan(&with, SHORT_MIB, 1024, true, true);
    CHECK(!is_stopped(&with));
    CHECK_U64(with.host.plan.n_actions, without.host.plan.n_actions);
    for (size_t k = 0; k < with.host.plan.n_actions; k++) {
        CHECK_U64(with.host.plan.actions[k].to_bytes, without.host.plan.actions[k].to_bytes);
        CHECK(with.host.plan.actions[k].guest == without.host.plan.actions[k].guest);
    }
    test_host_fini(&without.host);
    test_host_fini(&with.host);
}

/* What is under way is the quickest that there is. */
static void where_it_is_critical_what_is_under_way_goes_on(void) {
    static struct pair with;

    plan(&with, 200, 32768, true, true);
    CHECK(with.host.plan.pressure == MA_PRESSURE_CRITICAL);
    CHECK(!is_stopped(&with));
    test_host_fini(&with.host);
}

static void the_division_stops_it_and_takes_it_of_others(void) {
    static struct pair without, with;

    plan(&without, 4500, 32768, false, false);
    CHECK(!without.host.plan.has_certificate && without.host.plan.pressure == MA_PRESSURE_SOFT);
    plan(&with, 4500, 32768, true, false);
    CHECK(!with.host.plan.has_certificate);
    CHECK(is_stopped(&with));
    CHECK(taken_of_other(&with) > taken_of_other(&without));
    test_host_fini(&without.host);
    test_host_fini(&with.host);
}

static void the_division_goes_on_where_others_cannot_pay(void) {
    static struct pair with;

    plan(&with, 4500, 1024, true, false);
    CHECK(!with.host.plan.has_certificate);
    CHECK(!is_stopped(&with));
    test_host_fini(&with.host);
}

TAP_MAIN(TAP_CASE(the_planner_stops_it_and_takes_the_next_option),
         TAP_CASE(on_a_hard_pressed_host_that_is_short_it_goes_on),
         TAP_CASE(where_nobody_else_has_it_no_veto_counts),
         TAP_CASE(where_it_is_critical_what_is_under_way_goes_on),
         TAP_CASE(the_division_stops_it_and_takes_it_of_others),
         TAP_CASE(the_division_goes_on_where_others_cannot_pay));
