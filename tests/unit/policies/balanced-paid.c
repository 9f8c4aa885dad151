/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that is short on a host that is short itself, and where memory comes in: idle guests pay, twice.
 * 64 GiB: reserve 3277 MiB, soft 6554, hard 4096, critical 1966. */
#include "test-host.h"

#define HARD_MIB     3000U
#define CRITICAL_MIB 2400U /* not yet calm */

struct trio {
    struct test_host host;
    struct ma_guest *pressed, *idle;
};

/* A guest of 8 GiB that was shrunk to 4 and uses all of them; it says that it stalls, or nothing is amiss with it. */
static struct ma_guest *add_squeezed(struct test_host *host, bool is_pressed) {
    struct ma_guest *guest = test_host_add(host, "pressed", 8192, is_pressed ? 0 : 600);
    struct ma_guest_memory *memory = ma_state_get(&host->state, guest->uuid);

    CHECK(memory != NULL);
    guest->actual_bytes = guest->resident_bytes = 4096 * MA_MIB;
    guest->stats.claimed_free_bytes = 0;
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = memory->last_actual_bytes = 4096 * MA_MIB;
    memory->balloon_is_settled = true;
    memory->last_direction = -1;
    memory->last_move_usec = memory->last_turn_usec = memory->seen_usec =
        host->snapshot.taken_at_usec - 60 * TEST_SECOND;
    return guest;
}

/* The second of two seconds; in the first, when nothing was armed, the host had so much less. */
static void tick(struct trio *t, uint64_t risen_mib) {
    enum ma_arm arm = t->host.snapshot.settings.arm;

    t->host.snapshot.settings.arm = MA_ARM_OBSERVE;
    t->host.snapshot.host.available_bytes -= risen_mib * MA_MIB;
    test_host_tick(&t->host);
    t->host.snapshot.settings.arm = arm;
    t->host.snapshot.host.available_bytes += risen_mib * MA_MIB;
    test_host_tick(&t->host);
}

/* idle_free_mib: of 32 GiB that the neighbour has. */
static void
prepare(struct trio *t, uint64_t available_mib, uint64_t idle_free_mib, bool is_pressed) {
    test_host_init(&t->host, 64, available_mib);
    t->pressed = add_squeezed(&t->host, is_pressed);
    t->idle = test_host_add(&t->host, "idle", 32768, idle_free_mib);
}

static void end(struct trio *t) {
    test_host_fini(&t->host);
}

static uint64_t given_mib(const struct trio *t) {
    const struct ma_plan_action *action = test_host_action(&t->host, t->pressed, MA_ACTION_BALLOON);

    return action == NULL || action->to_bytes < action->from_bytes || !action->is_armed
               ? 0
               : (action->to_bytes - action->from_bytes) / MA_MIB;
}

static uint64_t taken_mib(const struct trio *t) {
    const struct ma_plan_action *action = test_host_action(&t->host, t->idle, MA_ACTION_BALLOON);

    return action == NULL ? 0 : (action->from_bytes - action->to_bytes) / MA_MIB;
}

static enum ma_reason reason_of(const struct trio *t) {
    const struct ma_plan_action *action = test_host_action(&t->host, t->pressed, MA_ACTION_BALLOON);

    return action == NULL ? MA_REASON_NONE : action->reason;
}

static void
check_swap(uint64_t available_mib, uint64_t risen_mib, uint64_t given, enum ma_pressure pressure) {
    static struct trio calm, with;

    prepare(&calm, available_mib, 30000, false);
    prepare(&with, available_mib, 30000, true);
    tick(&calm, risen_mib);
    tick(&with, risen_mib);
    CHECK(with.host.plan.pressure == pressure && with.host.plan.has_certificate);
    CHECK_U64(given_mib(&calm), 0);
    CHECK_U64(given_mib(&with), given);
    CHECK(given == 0 || reason_of(&with) == MA_REASON_GUEST_PRESSURE);
    /* The planner takes a MiB more than is short. */
    CHECK(taken_mib(&with) + 1 >= taken_mib(&calm) + 2 * given_mib(&with));
    CHECK(taken_mib(&with) <= taken_mib(&calm) + 2 * given_mib(&with));
    for (size_t d = 0; d < with.host.plan.n_rows; d++) {
        CHECK_I64(with.host.plan.uncovered.mib[d], 0);
        CHECK_I64(with.host.plan.deficits.mib[d], calm.host.plan.deficits.mib[d]);
    }
    end(&calm);
    end(&with);
}

/* Its bid is 2 GiB; what comes in is less: of the last second three tenths, as nothing came before. */
static void an_idle_neighbour_pays_on_a_hard_pressed_host(void) {
    check_swap(HARD_MIB, 800, 240, MA_PRESSURE_HARD);
}

static void and_on_a_critical_one(void) {
    check_swap(CRITICAL_MIB, 600, 180, MA_PRESSURE_CRITICAL);
}

static void no_more_than_half_of_what_is_above_the_critical_watermark(void) {
    check_swap(CRITICAL_MIB - 50, 700, 191, MA_PRESSURE_CRITICAL);
}

static void nothing_below_it(void) {
    check_swap(1950, 800, 0, MA_PRESSURE_CRITICAL);
}

/* What is short is covered by what is on its way; the division decides. */
static void and_where_the_shortage_is_answered_already(void) {
    static struct trio t;

    prepare(&t, 3600, 30000, true);
    tick(&t, 800);
    CHECK(t.host.plan.pressure == MA_PRESSURE_HARD && !t.host.plan.has_certificate);
    CHECK_U64(given_mib(&t), 240);
    CHECK(taken_mib(&t) >= 2 * 240);
    end(&t);
}

/* A third of that. */
static void what_is_above_the_reserve_is_advanced(void) {
    static struct trio t;

    prepare(&t, 4000, 30000, true);
    tick(&t, 0);
    CHECK(t.host.plan.pressure == MA_PRESSURE_HARD);
    CHECK_U64(given_mib(&t), 241);
    CHECK(taken_mib(&t) >= 2 * 241);
    end(&t);
}

/* Whatever is promised, a balloon may stop: then the host would be shorter than before. */
static void nothing_is_given_while_nothing_comes_in(void) {
    static struct trio t;

    prepare(&t, HARD_MIB, 30000, true);
    tick(&t, 0);
    CHECK(taken_mib(&t) > 0);
    CHECK_U64(given_mib(&t), 0);
    end(&t);
}

static void nobody_pays_with_what_it_uses(void) {
    static struct trio calm, with;

    /* It uses 29 to 30 GiB, with 8 % and 128 MiB on top nearly 32: what is above is less than the host is short of. */
    for (uint64_t free_mib = 2000; free_mib <= 2800; free_mib += 200) {
        prepare(&calm, HARD_MIB, free_mib, false);
        prepare(&with, HARD_MIB, free_mib, true);
        tick(&calm, 800);
        tick(&with, 800);
        CHECK_U64(given_mib(&with), 0);
        CHECK_U64(taken_mib(&with), taken_mib(&calm));
        CHECK_U64(test_host_count_victims(&with.host, false),
                  test_host_count_victims(&calm.host, false));
        end(&calm);
        end(&with);
    }
}

/* It uses next to nothing, and all but 700 MiB are guaranteed to it. */
static void nobody_goes_below_its_guarantee_for_it(void) {
    static struct trio t;

    prepare(&t, HARD_MIB, 32000, true);
    t.idle->config.has |= MA_CONFIG_HAS_GUARANTEE;
    t.idle->config.guarantee_bytes = (32768 - 700) * MA_MIB;
    tick(&t, 800);
    CHECK_U64(taken_mib(&t), 700);
    /* 291 are what the host is short of; half of the rest is given. */
    CHECK_U64(given_mib(&t), 204);
    end(&t);
}

static void one_that_vetoes_pays_nothing(void) {
    static struct trio t;
    struct ma_guest_memory *memory;
    struct ma_guest *other;

    prepare(&t, HARD_MIB, 30000, true);
    other = test_host_add(&t.host, "other", 16384, 15000);
    memory = ma_state_get(&t.host.state, t.idle->uuid);
    CHECK(memory != NULL);
    memory->veto_until_usec = t.host.snapshot.taken_at_usec + 20 * TEST_SECOND;
    memory->veto_again_usec = UINT64_MAX;
    tick(&t, 800);
    CHECK_U64(taken_mib(&t), 0);
    CHECK_U64(given_mib(&t), 240);
    CHECK(test_host_action(&t.host, other, MA_ACTION_BALLOON) != NULL);
    end(&t);
}

/* A victim is needed: what idle guests have is the host's. */
static void nothing_is_given_beside_a_victim(void) {
    static struct trio t;
    struct ma_guest *bomb;

    prepare(&t, 3000, 30000, true);
    bomb = test_host_add_rigid(&t.host, "bomb", 16384);
    test_guest_growth(bomb, 900);
    for (int second = 0; second < 3; second++) {
        t.host.snapshot.host.available_bytes -= 900 * MA_MIB;
        test_host_tick(&t.host);
    }
    CHECK(test_host_count_victims(&t.host, false) > 0);
    CHECK_U64(given_mib(&t), 0);
    end(&t);
}

static void what_was_given_and_not_taken_yet_counts(void) {
    static struct trio t;
    struct ma_guest *other;
    struct ma_guest_memory *memory;

    prepare(&t, HARD_MIB, 30000, true);
    other = test_host_add(&t.host, "other", 8192, 0);
    other->actual_bytes = 4096 * MA_MIB;
    other->resident_bytes = 4096 * MA_MIB;
    memory = ma_state_get(&t.host.state, other->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = (4096 + 600) * MA_MIB; /* on its way there since just now */
    memory->last_direction = 1;
    memory->last_actual_bytes = memory->move_from_bytes = 4096 * MA_MIB;
    memory->last_move_usec = memory->last_turn_usec = memory->last_progress_usec =
        t.host.snapshot.taken_at_usec;
    tick(&t, 1000);
    CHECK_U64(given_mib(&t), 0); /* none of 517 MiB is left, less than a move */
    end(&t);
}

static void a_pressed_guest_without_an_idle_one_waits(void) {
    static struct trio t;

    test_host_init(&t.host, 64, HARD_MIB);
    t.pressed = add_squeezed(&t.host, true);
    t.idle = add_squeezed(&t.host, true);
    tick(&t, 800);
    CHECK_U64(given_mib(&t), 0);
    CHECK_U64(taken_mib(&t), 0);
    end(&t);
}

/* Who would pay is only asked when armed; what is owed to the other would go back even so. */
static void nothing_is_given_that_nobody_pays(void) {
    static struct trio t;

    prepare(&t, HARD_MIB, 30000, true);
    t.host.snapshot.settings.arm = MA_ARM_OBSERVE;
    tick(&t, 800);
    CHECK(taken_mib(&t) > 0);
    CHECK_U64(given_mib(&t), 0);
    end(&t);
}

TAP_MAIN(TAP_CASE(an_idle_neighbour_pays_on_a_hard_pressed_host),
         TAP_CASE(and_on_a_critical_one),
         TAP_CASE(no_more_than_half_of_what_is_above_the_critical_watermark),
         TAP_CASE(nothing_below_it),
         TAP_CASE(and_where_the_shortage_is_answered_already),
         TAP_CASE(what_is_above_the_reserve_is_advanced),
         TAP_CASE(nothing_is_given_while_nothing_comes_in),
         TAP_CASE(nobody_pays_with_what_it_uses),
         TAP_CASE(nobody_goes_below_its_guarantee_for_it),
         TAP_CASE(one_that_vetoes_pays_nothing),
         TAP_CASE(nothing_is_given_beside_a_victim),
         TAP_CASE(what_was_given_and_not_taken_yet_counts),
         TAP_CASE(nothing_is_given_that_nobody_pays),
         TAP_CASE(a_pressed_guest_without_an_idle_one_waits));
