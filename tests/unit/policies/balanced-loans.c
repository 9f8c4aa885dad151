/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest was given beyond its shares, because it said that it is short, it keeps as far as the host sees it fill it. */
#include "loan.h"
#include "test-host.h"

#define GIVEN_MIB 165U /* a fiftieth of its size, and a MiB */

/* A guest of 8 GiB at its guarantee, which is more than its shares, among idle ones. It says for ever that it stalls. */
struct loan {
    struct test_host host;
    struct ma_guest *guest;
};

static void begin(struct loan *l) {
    test_host_init(&l->host, 64, 12000);
    for (size_t i = 0; i < 20; i++) {
        struct ma_guest *idle = test_host_add(&l->host, "idle", 4096, 1900);

        idle->actual_bytes = idle->resident_bytes = 2048 * MA_MIB;
        idle->config.has |= MA_CONFIG_HAS_SHARES;
        idle->config.shares = MA_SHARES_MAX;
    }
    l->guest = test_host_add(&l->host, "short", 8192, 0);
    l->guest->actual_bytes = l->guest->resident_bytes = 4096 * MA_MIB;
    l->guest->config.has |= MA_CONFIG_HAS_SHARES | MA_CONFIG_HAS_LIMIT;
    l->guest->config.shares = 1;
    l->guest->config.limit_bytes = 8192 * MA_MIB;
    l->guest->pressure.has = MA_PSI_HAS_SOME_AVG10;
    l->guest->pressure.some_avg10_permyriad = MA_PERMYRIAD_FULL;
}

/* So many seconds, in which its balloon does what it is told, and it fills so much of what comes. Returns its moves. */
static size_t live(struct loan *l, unsigned seconds, uint64_t filled_mib) {
    size_t n_moves = 0;

    for (unsigned s = 0; s < seconds; s++) {
        const struct ma_plan_action *action;

        test_host_tick(&l->host);
        action = test_host_action(&l->host, l->guest, MA_ACTION_BALLOON);
        if (action != NULL) {
            bool is_growth = action->to_bytes > action->from_bytes;

            n_moves++;
            l->guest->actual_bytes = action->to_bytes;
            l->guest->resident_bytes += is_growth ? filled_mib * MA_MIB : 0;
            l->guest->resident_bytes = ma_min_u64(l->guest->resident_bytes, l->guest->actual_bytes);
        }
    }
    return n_moves;
}

static uint64_t stands_mib(const struct loan *l) {
    return l->guest->actual_bytes / MA_MIB;
}

static void what_lies_untouched_goes_back_to_the_byte(void) {
    static struct loan l;

    begin(&l);
    CHECK_U64(live(&l, 170, 0), 1);
    CHECK_U64(stands_mib(&l), 4096 + GIVEN_MIB);
    CHECK_U64(live(&l, 30, 0), 1);
    CHECK_U64(l.guest->actual_bytes, 4096 * MA_MIB);
    test_host_fini(&l.host);
}

static void what_it_filled_it_keeps(void) {
    static struct loan l;

    begin(&l);
    CHECK_U64(live(&l, 200, 40), 2);
    CHECK_U64(stands_mib(&l), 4096 + 40);
    test_host_fini(&l.host);
}

static void who_fills_half_needs_it(void) {
    static struct loan l;

    begin(&l);
    (void) live(&l, 200, 2048);
    CHECK(stands_mib(&l) >= 4096 + 2048);
    test_host_fini(&l.host);
}

/* 300 s, then 600. */
static void nothing_is_lent_again_soon(void) {
    static struct loan l;

    begin(&l);
    CHECK_U64(live(&l, 200, 0), 2);
    CHECK_U64(live(&l, 260, 0), 0);
    CHECK_U64(live(&l, 240, 0), 2);
    CHECK_U64(live(&l, 540, 0), 0);
    CHECK_U64(live(&l, 60, 0), 1);
    CHECK_U64(stands_mib(&l), 4096 + GIVEN_MIB);
    test_host_fini(&l.host);
}

/* Swapped out or in, it is held. */
static void what_is_paged_out_is_no_reason(void) {
    static struct loan l;

    begin(&l);
    l.guest->resident_bytes -= 1024 * MA_MIB;
    l.guest->swap_bytes += 1024 * MA_MIB;
    CHECK_U64(live(&l, 200, 0), 2);
    CHECK_U64(stands_mib(&l), 4096);
    test_host_fini(&l.host);
}

/* The guarantee is no loan. */
static void nobody_goes_below_its_guarantee(void) {
    static struct loan l;

    begin(&l);
    CHECK_U64(live(&l, 100, 0), 1);
    l.guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
    l.guest->config.guarantee_bytes = (4096 + 100) * MA_MIB;
    CHECK_U64(live(&l, 100, 0), 1);
    CHECK_U64(stands_mib(&l), 4096 + 100);
    test_host_fini(&l.host);
}

/* Not its own word but somebody's order, or peace: that is no loan. */
static void what_is_given_back_stays(void) {
    static struct loan l;
    struct ma_guest_memory *memory;

    begin(&l);
    memory = ma_state_get(&l.host.state, l.guest->uuid);
    CHECK(memory != NULL);
    memory->taken = MA_TAKEN_BALLOON;
    memory->balloon_before_bytes = 8192 * MA_MIB;
    memory->balloon_ours_bytes = 4096 * MA_MIB;
    memory->balloon_is_settled = true;
    memory->last_direction = 1;
    memory->last_move_usec = l.host.snapshot.taken_at_usec - 1000 * TEST_SECOND;
    memory->grown_from_bytes = memory->grown_held_bytes = 2048 * MA_MIB;
    l.guest->resident_bytes = 2048 * MA_MIB;
    CHECK_U64(ma_loan_rest_bytes(&l.host.snapshot, l.guest, memory), 0);
    memory->is_grown_on_word = true;
    CHECK_U64(ma_loan_rest_bytes(&l.host.snapshot, l.guest, memory), 2048 * MA_MIB);
    l.guest->has &= ~(uint32_t) MA_GUEST_HAS_RESIDENT;
    CHECK_U64(ma_loan_rest_bytes(&l.host.snapshot, l.guest, memory), 0);
    test_host_fini(&l.host);
}

TAP_MAIN(TAP_CASE(what_lies_untouched_goes_back_to_the_byte),
         TAP_CASE(what_it_filled_it_keeps),
         TAP_CASE(who_fills_half_needs_it),
         TAP_CASE(nothing_is_lent_again_soon),
         TAP_CASE(what_is_paged_out_is_no_reason),
         TAP_CASE(nobody_goes_below_its_guarantee),
         TAP_CASE(what_is_given_back_stays));
