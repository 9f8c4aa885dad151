/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cover-price.h - what the two ways to good prices share (cover-price.c, cover-line.c); nobody else includes it. */

#include "cover-internal.h"

/* One run of pricing at a node. */
struct cover_run {
    int64_t price[MA_ROWS_MAX];
    int64_t best_price[MA_ROWS_MAX];
    int64_t direction[MA_ROWS_MAX];
    int64_t missing[MA_ROWS_MAX]; /* residual less what the cheapest slots free */
    __int128 bound;
    __int128 best_bound;
    uint32_t step;
    unsigned stalls;
};

/* A round's share is this and its number: later rounds, with better prices, count for more. */
#define COVER_SHARE_FIRST 4U

/* local->value from the prices. */
void ma_cover_reduce_costs(struct cover_core *core, const int64_t *price);
/* L(p) from local->value, and the cheapest slots in local->pick_best and group_best. */
__int128 ma_cover_sum_bound(struct cover_core *core, const int64_t *price);
/* run->missing from the cheapest slots; these count for so much more in what the run chose. */
void ma_cover_note_choice(struct cover_core *core, struct cover_run *run, uint32_t share);
/* Keeps a row's price so small that no product overflows. */
void ma_cover_hold_price(const struct cover_core *core, size_t d, __int128 *price);
/* true: the node is closed, nothing in it is better than core->best. */
bool ma_cover_is_beaten(const struct cover_core *core, __int128 bound);

/* cover-line.c; both: true, the node is closed. Leave the best prices in run->best_price. */
bool ma_cover_climb_one(struct cover_core *core, struct cover_run *run, unsigned rounds);
bool ma_cover_climb_rows(struct cover_core *core, struct cover_run *run);
