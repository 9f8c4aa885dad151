/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* loan.h - what a balloon was given since it last shrank, and what of that the host saw its guest fill. What was given on a
 * guest's word and lies untouched is a loan: it may be taken back. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* Of what it was given, its balloon being at or on its way to balloon_bytes: what the host does not see filled. */
uint64_t ma_loan_untouched_bytes(const struct ma_guest *guest,
                                 const struct ma_guest_memory *memory,
                                 uint64_t balloon_bytes);
/* Did it fill half of that, as the host sees it? Where it was given nothing since it last shrank: no. */
bool ma_loan_is_filled(const struct ma_guest *guest,
                       const struct ma_guest_memory *memory,
                       uint64_t balloon_bytes);
/* How far a loan that had its time may be taken back: where the balloon stood, and what was filled since. 0: there is no
 * such loan. */
uint64_t ma_loan_rest_bytes(const struct ma_snapshot *snapshot,
                            const struct ma_guest *guest,
                            const struct ma_guest_memory *memory);
/* May it be given something beyond its shares on its word, to see whether it fills it? */
bool ma_loan_may_look(const struct ma_guest_memory *memory, uint64_t now_usec);
/* Its balloon is told to move; before memory has that. */
void ma_loan_note_move(const struct ma_guest *guest,
                       const struct ma_plan_action *action,
                       struct ma_guest_memory *memory,
                       uint64_t now_usec);

/* After a look that was for nothing there is none for so long, and twice as long after each further one, so many times. Too
 * short: a guest that only says it is short has others' memory for a tenth of the time; too long: one that stalled for
 * another reason once waits when it needs it. Guessed; as for vetoes. */
#define MA_LOOK_AGAIN_USEC    (UINT64_C(300) * MA_USEC_PER_SEC)
#define MA_LOOK_DOUBLINGS_MAX 8U
/* A balloon that grew is shrunk again after so many dwell times, and a loan taken back. Too small: bursts are followed up and
 * down; too large: memory stays where it was needed last. Simulated (mix-1.3, mix-1.6): loans taken back after one turn 8 to
 * 13 % more balloons, after three 3 to 4 %. */
#define MA_GROWN_DWELLS 6U
