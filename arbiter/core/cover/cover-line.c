/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-line.c - to the top of the bound along one row's price at a time.
 *
 * With the other prices held, L is concave and piecewise linear in one price, and its slope is what the row lacks. A price
 * below the top and one above it, with the slopes there, meet in the next price: a few rounds lead to the top itself, at the
 * cost of one row's products each.
 *
 * With one row that is all there is to do. With several, going from row to row may stop at an edge where no single price
 * helps; subgradient steps (cover-price.c) go on from there. They in turn take hundreds of rounds to where one row needs a
 * price many times that of the others, which is so wherever a row can hardly be covered: bounds there were a tenth of the
 * relaxation's (measured by tests/bench/decide-bench, 2 of 100 hosts with 100 guests). */
#include "cover-price.h"

/* A line is searched in so many rounds. Too few: not yet at its top; too many: digits that the next row changes. */
#define LINE_ROUNDS 10U
/* Times through all rows. Too few: rows that depend on each other are left half-way; too many: time that the nodes would make
 * more of. Measured: with 4 of 12 rounds a thousand guests' root took two thirds of the whole budget. */
#define LINE_CYCLES 2U
/* A cycle that brings less than this part of the bound is the last one. */
#define LINE_PROGRESS_DIVISOR 256

struct bracket {
    bool has_low;
    bool has_high;
    int64_t low_price;
    int64_t high_price;
    int64_t low_slope;  /* > 0 */
    int64_t high_slope; /* <= 0 */
    __int128 low_bound;
    __int128 high_bound;
};

/* The row's next price; false: it is at the top. */
static bool
move_between(const struct cover_core *core, struct cover_run *run, size_t d, struct bracket *b) {
    __int128 price;
    if (run->missing[d] > 0) {
        b->has_low = true;
        b->low_price = run->price[d];
        b->low_slope = run->missing[d];
        b->low_bound = run->bound;
    } else {
        b->has_high = true;
        b->high_price = run->price[d];
        b->high_slope = run->missing[d];
        b->high_bound = run->bound;
    }
    if (!b->has_high) {
        price = (__int128) run->price[d] * 2 + 1;
    } else if (!b->has_low) {
        price = run->price[d] / 2;
    } else {
        price = (b->high_bound - b->low_bound + (__int128) b->low_slope * b->low_price -
                 (__int128) b->high_slope * b->high_price) /
                (b->low_slope - b->high_slope);
    }
    ma_cover_hold_price(core, d, &price);
    bool is_inside =
        (!b->has_low || price > b->low_price) && (!b->has_high || price < b->high_price);
    run->price[d] = (int64_t) price;
    return is_inside;
}

static void keep_best(const struct cover_core *core, struct cover_run *run) {
    if (run->bound > run->best_bound) {
        run->best_bound = run->bound;
        for (size_t d = 0; d < core->local.m; d++) {
            run->best_price[d] = run->price[d];
        }
    }
}

bool ma_cover_climb_one(struct cover_core *core, struct cover_run *run, unsigned rounds) {
    struct bracket bracket = {.has_low = false};
    for (unsigned round = 0; round < rounds; round++) {
        ma_cover_reduce_costs(core, run->price);
        run->bound = ma_cover_sum_bound(core, run->price);
        if (ma_cover_is_beaten(core, run->bound)) {
            return true;
        }
        ma_cover_note_choice(core, run, COVER_SHARE_FIRST + round);
        keep_best(core, run);
        if (core->operations > core->max_operations || !move_between(core, run, 0, &bracket)) {
            break;
        }
    }
    return false;
}

static void shift_costs(struct cover_core *core, size_t d, int64_t rise) {
    struct cover_local *local = &core->local;
    const int32_t *frees = local->frees + d * core->max_slots;
    for (uint32_t s = 0; s < local->n_slots; s++) {
        local->value[s] -= rise * frees[s];
    }
    core->operations += 2 * (uint64_t) local->n_slots;
}

/* To the top of L along one row's price, from the best prices. true: the node is closed. */
static bool climb_row(struct cover_core *core, struct cover_run *run, size_t d) {
    struct bracket bracket = {.has_low = false};
    for (size_t e = 0; e < core->local.m; e++) {
        run->price[e] = run->best_price[e];
    }
    ma_cover_reduce_costs(core, run->price);
    for (unsigned round = 0; round < LINE_ROUNDS; round++) {
        int64_t from = run->price[d];
        run->bound = ma_cover_sum_bound(core, run->price);
        if (ma_cover_is_beaten(core, run->bound)) {
            return true;
        }
        ma_cover_note_choice(core, run, 0);
        keep_best(core, run);
        if (core->operations > core->max_operations || !move_between(core, run, d, &bracket)) {
            break;
        }
        shift_costs(core, d, run->price[d] - from);
    }
    return false;
}

bool ma_cover_climb_rows(struct cover_core *core, struct cover_run *run) {
    for (unsigned cycle = 0; cycle < LINE_CYCLES; cycle++) {
        __int128 before = run->best_bound;
        for (size_t d = 0; d < core->local.m; d++) {
            if (climb_row(core, run, d)) {
                return true;
            }
        }
        if (run->best_bound - before < before / LINE_PROGRESS_DIVISOR ||
            core->operations > core->max_operations) {
            break;
        }
    }
    return false;
}
