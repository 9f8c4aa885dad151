/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "groups.h"

#include <errno.h>
#include <string.h>

#include "plan.h"

size_t ma_groups_memory_size(size_t max_guests) {
    return 2 * ma_arena_round(max_guests * sizeof(uint32_t)) +
           ma_arena_round(max_guests * sizeof(struct ma_group));
}

/* Order by group's name, then by index. */
static bool is_before(const struct ma_snapshot *snapshot, uint32_t a, uint32_t b) {
    int order = strcmp(snapshot->guests[a].config.group, snapshot->guests[b].config.group);

    return order != 0 ? order < 0 : a < b;
}

static void sift_down(const struct ma_snapshot *snapshot, uint32_t *heap, size_t at, size_t n) {
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        uint32_t swapped = heap[at];

        if (child + 1 < n && is_before(snapshot, heap[child], heap[child + 1])) {
            child++;
        }
        if (!is_before(snapshot, heap[at], heap[child])) {
            return;
        }
        heap[at] = heap[child];
        heap[child] = swapped;
        at = child;
    }
}

/* Heapsort: in place, n log n whatever names guests have (libc's qsort may allocate). */
static void sort_members(const struct ma_snapshot *snapshot, uint32_t *members, size_t n) {
    for (size_t k = n / 2; k > 0; k--) {
        sift_down(snapshot, members, k - 1, n);
    }
    for (size_t k = n; k > 1; k--) {
        uint32_t last = members[k - 1];

        members[k - 1] = members[0];
        members[0] = last;
        sift_down(snapshot, members, 0, k - 1);
    }
}

static enum ma_reason
group_reason(const struct ma_facts *facts, const uint32_t *members, size_t n) {
    if (n > MA_GROUP_MEMBERS_MAX) {
        return MA_REASON_GROUP_TOO_LARGE;
    }
    for (size_t k = 0; k < n; k++) {
        if (facts[members[k]].victim_reason != MA_REASON_NONE) {
            return MA_REASON_GROUP_INELIGIBLE;
        }
    }
    return MA_REASON_NONE;
}

static void
add_group(const struct ma_facts *facts, struct ma_groups *groups, size_t first, size_t n) {
    struct ma_group *group = &groups->groups[groups->n_groups];

    group->first = (uint32_t) first;
    group->n_members = (uint32_t) n;
    group->excluded_because = group_reason(facts, groups->members + first, n);
    for (size_t k = first; k < first + n; k++) {
        groups->group_of[groups->members[k]] = (uint32_t) groups->n_groups;
    }
    groups->n_groups++;
}

static bool is_same_group(const struct ma_snapshot *snapshot, uint32_t a, uint32_t b) {
    return strcmp(snapshot->guests[a].config.group, snapshot->guests[b].config.group) == 0;
}

int ma_groups_find(const struct ma_snapshot *snapshot,
                   const struct ma_facts *facts,
                   struct ma_arena *arena,
                   struct ma_groups *ret) {
    size_t n = snapshot->n_guests;

    memset(ret, 0, sizeof(*ret));
    ret->group_of = ma_arena_take(arena, n, sizeof(*ret->group_of));
    ret->members = ma_arena_take(arena, n, sizeof(*ret->members));
    ret->groups = ma_arena_take(arena, n, sizeof(*ret->groups));
    if (ret->group_of == NULL || ret->members == NULL || ret->groups == NULL) {
        return -ENOSPC;
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *group = snapshot->guests[i].config.group;

        ret->group_of[i] = MA_NO_GROUP;
        if (group != NULL && group[0] != '\0') {
            ret->members[ret->n_members++] = i;
        }
    }
    sort_members(snapshot, ret->members, ret->n_members);
    for (size_t first = 0, end; first < ret->n_members; first = end) {
        end = first + 1;
        while (end < ret->n_members &&
               is_same_group(snapshot, ret->members[first], ret->members[end])) {
            end++;
        }
        if (end - first > 1) {
            add_group(facts, ret, first, end - first);
        }
    }
    return 0;
}
