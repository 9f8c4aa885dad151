/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cgroup-parse.h - the text of a cgroup's memory files. Pure; one line each, for ktext. */

#include "cgroup.h"

/* memory.stat of v2, memory.events. userdata: struct ma_cgroup_sample. */
int ma_cgroup_stat_parse_line(void *userdata, const char *line);
int ma_cgroup_events_parse_line(void *userdata, const char *line);
/* memory.stat of v1 (total_*, the whole subtree). */
int ma_cgroup_v1_stat_parse_line(void *userdata, const char *line);

struct ma_cgroup_numa {
    struct ma_guest_node *nodes; /* sorted by id as they come */
    size_t capacity;
    size_t n;
};
/* memory.numa_stat of v2. -ENOBUFS: more nodes than capacity. userdata: struct ma_cgroup_numa. */
int ma_cgroup_numa_parse_line(void *userdata, const char *line);
