/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* notice.h - a squeeze is announced to a guest whose agent listens, and follows when the notice has run out. Pure. */

#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* Is this move to wait for its notice? The plan's pressure must be known. */
bool ma_notice_is_due(const struct ma_plan *plan,
                      const struct ma_plan_action *action,
                      const struct ma_guest_memory *memory,
                      const struct ma_snapshot *snapshot);
/* A move that waits: its notice begins, unless it runs. */
void ma_notice_begin(struct ma_guest_memory *memory, uint64_t now_usec);
/* A squeeze was commanded. */
void ma_notice_end(struct ma_guest_memory *memory, uint64_t now_usec);
/* Has this decision begun its notice? */
bool ma_notice_has_begun(const struct ma_guest_memory *memory, uint64_t now_usec);
/* Its agent was heard now, and takes lines. */
void ma_notice_hear(struct ma_guest_memory *memory, uint64_t now_usec);
/* The guest is ready: the squeeze may come. */
void ma_notice_acknowledge(struct ma_guest_memory *memory, uint64_t now_usec);

/* From the announcement to the command. Too short: no hook of an operator does anything; too long: a calm host waits for
 * memory that a busy one will want. Guessed; an agent without a hook answers within half a second. */
#define MA_NOTICE_USEC (UINT64_C(2) * MA_USEC_PER_SEC)
/* After a command no further notice is given for so long: a squeeze comes in steps. Too short: each step waits; too long:
 * the next squeeze comes unannounced. Guessed. */
#define MA_NOTICE_STANDS_USEC (UINT64_C(60) * MA_USEC_PER_SEC)
