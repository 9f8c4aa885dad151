/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* observe.h - what a snapshot tells the controller's memory, before anything is decided. */

#include <stdbool.h>

#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* Advances pressures, settles the pending victim, follows balloons and pauses, begins and ends incidents; sets the
 * plan's rows, pressures, measured deficits and settings. */
void ma_observe(const struct ma_snapshot *snapshot,
                bool is_single_snapshot,
                struct ma_state *state,
                struct ma_plan *plan);

/* Its parts, for tests. */
void ma_observe_time(struct ma_state *state, uint64_t now_usec);
/* Its balloon does not answer: left out, and asked for a small step after 30 s, then 60 s, up to 10 min. */
void ma_observe_stuck(struct ma_guest_memory *memory, uint64_t now_usec);
/* What all guests of the snapshot together hold: resident and huge pages. */
uint64_t ma_observe_held_bytes(const struct ma_snapshot *snapshot);
/* What the host has more than when that victim was taken, with what the others would have taken meanwhile. */
uint64_t ma_observe_gain_bytes(const struct ma_snapshot *snapshot,
                               const struct ma_pending_victim *pending);
/* time_left_usec: until a short resource is exhausted (ma_need_time_left_usec()). */
void ma_observe_pending(const struct ma_snapshot *snapshot,
                        struct ma_state *state,
                        uint64_t time_left_usec);
void ma_observe_guest(const struct ma_snapshot *snapshot,
                      const struct ma_guest *guest,
                      struct ma_guest_memory *memory);
/* Where its balloon stood at that time, as far as is known. */
uint64_t ma_walk_at(const struct ma_guest_memory *memory,
                    uint64_t actual_bytes,
                    uint64_t now_usec,
                    uint64_t at_usec);
/* Before its balloon's figure of the last snapshot is overwritten. */
void ma_walk_note(struct ma_guest_memory *memory, uint64_t actual_bytes);
/* What it uses, how fast that rises, and the decayed peaks of its working set; before its balloon's figure of the last
 * snapshot is overwritten. */
void ma_observe_use(const struct ma_snapshot *snapshot,
                    const struct ma_guest *guest,
                    struct ma_guest_memory *memory);
