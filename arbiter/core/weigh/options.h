/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* options.h - what can be done with one guest, what each way really returns per resource, and what it costs. */

#include "facts.h"
#include "groups.h"
#include "need.h"
#include "plan.h"

/* How long an ACPI shutdown may take where nobody says it: a Linux guest's usual time, guessed. Too short: a database is
 * killed while it flushes; too long: a guest that ignores the button keeps the next victim waiting. */
#define MA_SHUTDOWN_TIMEOUT_USEC (UINT64_C(60) * MA_USEC_PER_SEC)

#define MA_RUNG_BIT(rung) (1U << (unsigned) (rung))
#define MA_RUNGS_SOFT     (MA_RUNG_BIT(MA_RUNG_BALLOON_FREE) | MA_RUNG_BIT(MA_RUNG_BALLOON_CACHE))
#define MA_RUNGS_GENTLE                                                                            \
    (MA_RUNGS_SOFT | MA_RUNG_BIT(MA_RUNG_RESIZE) | MA_RUNG_BIT(MA_RUNG_RECLAIM) |                  \
     MA_RUNG_BIT(MA_RUNG_BALLOON_WORKING))
/* Of the gentle ones those that return most. */
#define MA_RUNGS_DEEPEST (MA_RUNGS_GENTLE & ~MA_RUNGS_SOFT)
#define MA_RUNGS_ALL     (MA_RUNG_BIT(MA_RUNG_COUNT) - 1U)

struct ma_options_context {
    const struct ma_snapshot *snapshot;
    const struct ma_facts *facts; /* of all guests */
    const struct ma_need *need;
    struct ma_plan *plan;
    int64_t demand_mib[MA_ROWS_MAX]; /* an option that serves none of these is left out */
    uint32_t rungs;                  /* MA_RUNG_BIT()s that the state of the host permits */
    uint64_t swap_permyriad;         /* of each guest's wish, what swap has room for */
};

/* Sets swap_permyriad so that all reclaims together keep swap above its soft watermark. */
void ma_options_share_swap(struct ma_options_context *context);
/* Append to plan->options. impact_total: the guest's impact score. Gentle ones first, then victims'. */
void ma_options_add_gentle(const struct ma_options_context *context,
                           size_t guest,
                           uint64_t impact_total);
void ma_options_add_victim(const struct ma_options_context *context,
                           size_t guest,
                           uint64_t impact_total);
/* One option for all members together; impacts: of the members, in order. */
void ma_options_add_joint(const struct ma_options_context *context,
                          const uint32_t *members,
                          size_t n_members,
                          uint64_t impact_total);

/* What the pieces return, for the guard and for actions of a single member. Whole MiB, down (consumed: up). */
void ma_frees_of_balloon(const struct ma_plan *plan,
                         const struct ma_need *need,
                         const struct ma_facts *facts,
                         uint64_t to_bytes,
                         struct ma_amounts *ret);
void ma_frees_of_resize(const struct ma_plan *plan,
                        const struct ma_need *need,
                        const struct ma_facts *facts,
                        uint64_t to_bytes,
                        struct ma_amounts *ret);
void ma_frees_of_reclaim(const struct ma_plan *plan,
                         const struct ma_facts *facts,
                         uint64_t bytes,
                         struct ma_amounts *ret);
/* Pause, save, shutdown, kill. */
void ma_frees_of_victim(const struct ma_plan *plan,
                        const struct ma_need *need,
                        const struct ma_facts *facts,
                        enum ma_action action,
                        struct ma_amounts *ret);
/* May this be done to it at all, its group not looked at, and is it back before the host is exhausted? */
bool ma_options_victim_is_possible(const struct ma_options_context *context,
                                   const struct ma_facts *facts,
                                   enum ma_action action);
/* How long an action may take until its memory is back. */
uint64_t
ma_options_deadline_usec(const struct ma_facts *facts, enum ma_action action, uint64_t gain_bytes);
enum ma_rung ma_rung_of_action(enum ma_action action); /* of a victim's action */
