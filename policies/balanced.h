/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* balanced.h - memarb's own policy, in parts (balanced.md has the whole). */

#include "division.h"
#include "policy.h"
#include "study.h"

extern const struct ma_policy ma_policy_balanced;

/* Short of something: the planner's least costly cover. Gentle rungs as the state allows; victims only where a
 * critical row provably cannot be covered without. 0 or negative errno. */
int balanced_cover(struct ma_study *study);
/* Before a second victim in one incident the fastest grower above its guarantee goes: plans it in front of the rest.
 * 1: done, 0: there is none or it is among the chosen anyway (then it is marked), or negative errno. */
int balanced_culprit_first(struct ma_study *study, const struct ma_choice *joint);
/* Below the soft watermark and nothing short yet: the water level falls a little; guests that are short get of what
 * is above it, and of what others do not need. */
int balanced_divide(struct ma_study *study);
/* Guests among whom is divided. */
struct balanced_items {
    struct ma_division_item *items;
    uint32_t *guests; /* whose item it is */
    bool has_bid;     /* one that is not answered yet */
    bool honours_vetoes;
    uint64_t *part_bytes; /* of each item: to what a bid counts (balanced-bids.c) */
    size_t n_items;
    size_t n_nodes;        /* that limit the division besides the host */
    uint64_t vetoed_bytes; /* on their way from guests that veto that: to come of the others */
};
/* Where its balloon stands or is heading. */
uint64_t balanced_base_bytes(const struct ma_facts *facts);
/* Did its balloon move up at its last move? */
bool balanced_grew_last(const struct ma_facts *facts);
/* By how much, where that move began within so long; else 0. */
uint64_t balanced_given_lately_bytes(const struct ma_study *study,
                                     const struct ma_facts *facts,
                                     uint64_t within_usec);
uint32_t balanced_shares(const struct ma_facts *facts);
/* So much at a time is given to a guest that uses all it has, and taken for it of what others do not use. */
uint64_t balanced_relief_step_bytes(const struct ma_facts *facts);
/* What a guest that is short asks for next, up to what it had or its limit; 0: nothing. */
uint64_t balanced_relief_bytes(const struct ma_facts *facts);
/* What is still to come of a squeeze that is vetoed, does not: its balloon stops where it is. */
void balanced_stop_squeeze(struct ma_study *study, uint32_t guest);
/* What guests whose bases are sum_bytes may have together (balanced-ahead.c). */
uint64_t balanced_budget_bytes(const struct ma_study *study, uint64_t sum_bytes);
/* Will the host be below its hard watermark soon? Then there is no time for small steps. */
bool balanced_is_hurried(const struct ma_study *study);
/* All guests whose balloons may be moved, and the sum of their bases. Taken from the study's arena. 0 or -ENOSPC. */
int balanced_collect_items(struct ma_study *study, struct balanced_items *ret, uint64_t *ret_sum);
/* Sets part_bytes, of so much for all of them together; uses the items for it. 0 where nobody bids, all of them. */
int balanced_set_parts(struct ma_study *study, struct balanced_items *all, uint64_t budget_bytes);
/* The same by shares alone, whoever bids. 0 or -ENOSPC. */
int balanced_set_shares(struct ma_study *study, struct balanced_items *all, uint64_t budget_bytes);
/* What was given on a guest's word, beyond its shares, and lies untouched goes back (balanced-loans.c). */
void balanced_take_back_loans(struct ma_study *study);
/* What its bid comes to: so much more than it has, to its part. */
uint64_t balanced_bid_bytes(const struct ma_facts *facts, uint64_t part_bytes);
/* How far a guest that does not bid is to get back what was taken from it, while others bid: to its part. 0:
 * nothing is owed, or the host is not calm. */
uint64_t balanced_owed_bytes(const struct ma_study *study,
                             const struct ma_facts *facts,
                             uint64_t part_bytes);
/* That part of an item: where no bid is left to answer, no bound but for one that is doubted. */
uint64_t
balanced_owed_part_bytes(const struct ma_study *study, const struct balanced_items *all, size_t k);
/* It says that it is short, and the host does not see it touch what it has, or what it was given last for its word. */
bool balanced_is_doubted(const struct ma_facts *facts);
/* Of each guest that is doubted its part by shares, of all others UINT64_MAX; in the study's arena. NULL: there is none, or
 * no memory for it. */
uint64_t *balanced_doubted_parts(struct ma_study *study);
/* Gives that, as far as the division has left it, and its working set in any case, out of half of the room. */
void balanced_return_owed(struct ma_study *study,
                          const struct balanced_items *all,
                          uint64_t room_bytes);
/* Short nodes as limits: sets the items' node_permyriad (in the study's arena) and a budget for each node. Returns how
 * many there are; 0 as well when there is no memory for it. */
size_t balanced_limit_nodes(struct ma_study *study,
                            struct balanced_items *items,
                            uint64_t budgets[MA_ROWS_MAX]);
/* Balloons under which a device pinned all the memory meanwhile hold nothing back: they are given back at once, also on a
 * short host. */
void balanced_give_back_pinned(struct ma_study *study);
/* The move to another node that the study found, where there is one. */
void balanced_rebalance(struct ma_study *study);
/* Hard or critical, and nothing above the soft watermark: guests that are short get of what idle ones hand over beyond what
 * the plan takes of them. */
void balanced_relieve_paid(struct ma_study *study);
/* Is a guest short, and can be given something? */
bool balanced_is_relief_wanted(const struct ma_study *study);
/* Is something planned for that guest already? */
bool balanced_has_action(const struct ma_study *study, uint32_t guest);
/* Balloons that did not answer are asked for a small step when their time comes. Nothing is counted on them. */
void balanced_probe_stuck(struct ma_study *study);
/* A paused guest whose PauseMax= has passed while a victim is needed: its next rung goes before anybody else. As
 * balanced_culprit_first(). */
int balanced_expired_first(struct ma_study *study, const struct ma_choice *joint);
/* The owner's cluster goes by that option, the planner does the rest. 0 or negative errno. */
int balanced_force(struct ma_study *study,
                   uint32_t owner,
                   uint32_t option,
                   const struct ma_choice *joint);
bool balanced_is_chosen_victim(const struct ma_study *study,
                               const struct ma_choice *choice,
                               uint32_t owner);
/* What of the room may go to guests that are not short: until the host has been calm for a while, less. */
uint64_t balanced_spare_bytes(const struct ma_study *study, uint64_t room_bytes);
/* Normal: what was taken goes back; to those that are short first, where that is for their word. */
void balanced_give_back(struct ma_study *study, bool is_for_word);
/* A pause that lasted PauseMax= ends: with a resume, or where a victim is needed anyway with the next rung. */
void balanced_end_pauses(struct ma_study *study);

/* Paused by us, and nothing keeps it from running again. */
bool balanced_is_resumable(const struct ma_study *study, const struct ma_facts *facts);
bool balanced_is_resume_under_way(const struct ma_study *study);
uint64_t balanced_paused_for_usec(const struct ma_study *study, const struct ma_facts *facts);
void balanced_add_resume(struct ma_study *study, uint32_t guest, enum ma_reason reason);

/* May the guest's balloon be moved that way now (period, dwell)? In a hurry what grew need not rest. */
bool balanced_may_move(const struct ma_study *study,
                       const struct ma_facts *facts,
                       int direction,
                       bool is_hurry);
uint64_t balanced_dead_band_bytes(const struct ma_study *study, const struct ma_facts *facts);
void balanced_add_balloon(struct ma_study *study,
                          uint32_t guest,
                          uint64_t to_bytes,
                          enum ma_reason reason);
