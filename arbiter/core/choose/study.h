/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* study.h - one snapshot worked out for a policy: facts, need, groups, candidates and their options, and the least
 * costly choice among them. A policy decides which rungs it weighs and what it does with the answer. */

#include "arena.h"
#include "cover.h"
#include "facts.h"
#include "groups.h"
#include "need.h"
#include "options.h"
#include "plan.h"
#include "policy.h"
#include "rebalance.h"

struct ma_study {
    const struct ma_policy_input *input;
    struct ma_plan *plan;
    struct ma_arena arena;
    const struct ma_facts *facts; /* of all guests */
    struct ma_need need;          /* less what the rebalance below brings in time */
    struct ma_rebalance rebalance;
    struct ma_groups groups;
    struct ma_options_context options;
    /* A guest whose whole cluster the planner leaves alone (it is dealt with already); MA_NO_GROUP: none. */
    uint32_t left_out_guest;
    bool honours_vetoes; /* ma_study_candidates(): no gentle options of guests that veto */
};

/* The answer of the planner, in the study's arena. */
struct ma_choice {
    bool has_victims; /* were victims' options among those weighed? */
    uint32_t
        *member_choice; /* per member (ma_study_members order): option index or MA_COVER_NONE */
    uint32_t *cluster_choice;
    const uint32_t *member_guest;
    size_t n_members;
    size_t n_clusters;
    struct ma_cover_result result;
    bool is_covering; /* nothing is left uncovered on rows that may make a victim */
};

size_t ma_study_memory_size(size_t max_guests);
/* Facts, need and groups; sets plan->deficits. 0, or -ENOSPC. */
int ma_study_begin(struct ma_study *study,
                   const struct ma_policy_input *input,
                   struct ma_plan *plan);
/* Fills plan->candidates and plan->options with what these rungs allow. */
void ma_study_candidates(struct ma_study *study, uint32_t rungs);
/* What gentle options leave uncovered even if every guest gives the most that one of its gentle options returns, per row
 * (0: perhaps nothing). A proof without a search: where it is > 0 no choice covers that row. Needs candidates. */
void ma_study_gentle_limits(const struct ma_study *study, struct ma_amounts *ret_uncovered);
/* Least cost among the gentle options, or among all. Needs candidates. 0 or the planner's error. */
int ma_study_choose(struct ma_study *study, bool with_victims, struct ma_choice *ret);
/* Marks the choice in the options, adds its actions, sets certificate and uncovered. */
void ma_study_take(struct ma_study *study, const struct ma_choice *choice);
/* Adds the actions of one option of a candidate (of all members, for a group's). */
void ma_study_add_actions(struct ma_study *study, uint32_t guest, const struct ma_option *option);
/* First member of the guest's group where that may be a victim, else the guest itself. */
uint32_t ma_study_cluster(const struct ma_study *study, uint32_t guest);
/* Impact that actions on this guest are measured by, also for `never` guests, which have no score. */
uint64_t ma_study_impact(const struct ma_study *study, size_t guest);
