/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* bid.h - what a guest's own word may move: its bid for more memory, and its veto of a squeeze. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"
#include "state.h"

/* How far a guest's word and the host's figures are apart. Shown; a bid that the host does not believe is none. */
enum ma_disagreement {
    MA_DISAGREEMENT_NONE,
    MA_DISAGREEMENT_SAYS_IDLE,  /* it says that half of it is free, and the host sees it grow */
    MA_DISAGREEMENT_SAYS_SHORT, /* it says that it is short, and a quarter of it was never touched */
    MA_DISAGREEMENT_COUNT
};
const char *ma_disagreement_name(enum ma_disagreement disagreement);

/* Has it figures of its own that are fresh and say what is available? All below holds only then. */
bool ma_bid_has_claims(const struct ma_snapshot *snapshot, const struct ma_guest *guest);
enum ma_disagreement ma_bid_disagreement(const struct ma_guest *guest);
/* It says that it is short, and the host's figures allow it. */
bool ma_bid_is_pressed(const struct ma_guest *guest);

/* What the host sees it hold, resident or paged out. */
uint64_t ma_bid_held_bytes(const struct ma_guest *guest);
/* Does the host see next to all of its memory, resident or paged out? */
bool ma_bid_is_touched(const struct ma_guest *guest);

/* A guest that is short within MA_VETO_AFTER_USEC of a squeeze by us begins a veto, unless it had one lately. */
void ma_bid_observe_veto(const struct ma_snapshot *snapshot,
                         const struct ma_guest *guest,
                         struct ma_guest_memory *memory);
/* The guest asks for one itself. The same bounds. */
void ma_bid_note_veto(struct ma_guest_memory *memory, uint64_t now_usec);
/* The host's operator says it for the guest: as often as he likes. */
void ma_bid_begin_veto(struct ma_guest_memory *memory, uint64_t now_usec);
bool ma_bid_is_vetoing(const struct ma_guest_memory *memory, uint64_t now_usec);

/* A stall so soon after a squeeze is taken for its doing. Too small: the balloon moves slower than that, and the guest
 * stalls unheard; too large: any load of its own stops the next squeeze. A step of 10 % at 60 MiB/s. Guessed. */
#define MA_VETO_AFTER_USEC (UINT64_C(15) * MA_USEC_PER_SEC)
/* Its length, and the time from its beginning to that of the next. Longer, or more often: a guest that vetoes for ever has
 * its neighbours pay more often than every tenth time; shorter: squeezed again before what it lost is back. */
#define MA_VETO_USEC       (UINT64_C(30) * MA_USEC_PER_SEC)
#define MA_VETO_AGAIN_USEC (UINT64_C(300) * MA_USEC_PER_SEC)
