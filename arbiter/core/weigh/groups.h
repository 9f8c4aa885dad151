/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* groups.h - guests that are useless apart: one victim, or none. */

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "facts.h"
#include "snapshot.h"

#define MA_NO_GROUP UINT32_MAX

struct ma_group {
    uint32_t first; /* in ma_groups.members */
    uint32_t n_members;
    enum ma_reason excluded_because; /* NONE: it may be a victim */
};
struct ma_groups {
    uint32_t *group_of; /* per guest: index of its group, or MA_NO_GROUP */
    struct ma_group *groups;
    size_t n_groups;
    uint32_t *members; /* guest indices, by group, ascending within one */
    size_t n_members;
};

size_t ma_groups_memory_size(size_t max_guests);
/* Groups of one member count as no group. A group with a member that can be no victim, or of more than
 * MA_GROUP_MEMBERS_MAX, is excluded whole. 0, or -ENOSPC. */
int ma_groups_find(const struct ma_snapshot *snapshot,
                   const struct ma_facts *facts,
                   struct ma_arena *arena,
                   struct ma_groups *ret);
