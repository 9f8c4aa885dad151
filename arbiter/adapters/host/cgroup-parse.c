/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-parse.c - the text of a cgroup's memory files. Pure; a line that is not understood leaves its bit clear. */
#include "cgroup-parse.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "ktext.h"

static void take_stat(struct ma_cgroup_sample *s, const char *const *names, const char *line) {
    for (unsigned i = 0; i < MA_CGROUP_STAT_COUNT; i++) {
        const char *value = names[i] != NULL ? ma_ktext_field(line, names[i]) : NULL;
        uint64_t bytes;
        if (value != NULL && ma_ktext_bytes(value, &bytes) && bytes <= MA_BYTES_MAX) {
            s->stat_bytes[i] = bytes;
            s->has_stat |= 1U << i;
            s->has |= MA_CGROUP_HAS_STAT;
        }
    }
}

int ma_cgroup_stat_parse_line(void *userdata, const char *line) {
    static const char *const names[MA_CGROUP_STAT_COUNT] = {
        [MA_CGROUP_STAT_ANON] = "anon",
        [MA_CGROUP_STAT_FILE] = "file",
        [MA_CGROUP_STAT_SHMEM] = "shmem",
        [MA_CGROUP_STAT_INACTIVE_ANON] = "inactive_anon",
        [MA_CGROUP_STAT_ACTIVE_ANON] = "active_anon",
        [MA_CGROUP_STAT_INACTIVE_FILE] = "inactive_file",
        [MA_CGROUP_STAT_ACTIVE_FILE] = "active_file",
        [MA_CGROUP_STAT_SLAB_RECLAIMABLE] = "slab_reclaimable",
        [MA_CGROUP_STAT_UNEVICTABLE] = "unevictable",
    };
    take_stat(userdata, names, line);
    return 0;
}

int ma_cgroup_v1_stat_parse_line(void *userdata, const char *line) {
    /* v1 calls anonymous pages "rss"; its "cache" holds shmem, as v2's "file" does. */
    static const char *const names[MA_CGROUP_STAT_COUNT] = {
        [MA_CGROUP_STAT_ANON] = "total_rss",
        [MA_CGROUP_STAT_FILE] = "total_cache",
        [MA_CGROUP_STAT_SHMEM] = "total_shmem",
        [MA_CGROUP_STAT_INACTIVE_ANON] = "total_inactive_anon",
        [MA_CGROUP_STAT_ACTIVE_ANON] = "total_active_anon",
        [MA_CGROUP_STAT_INACTIVE_FILE] = "total_inactive_file",
        [MA_CGROUP_STAT_ACTIVE_FILE] = "total_active_file",
        [MA_CGROUP_STAT_UNEVICTABLE] = "total_unevictable",
    };
    take_stat(userdata, names, line);
    return 0;
}

int ma_cgroup_events_parse_line(void *userdata, const char *line) {
    static const char *const names[MA_CGROUP_EVENT_COUNT] = {
        [MA_CGROUP_EVENT_HIGH] = "high",
        [MA_CGROUP_EVENT_MAX] = "max",
        [MA_CGROUP_EVENT_OOM] = "oom",
        [MA_CGROUP_EVENT_OOM_KILL] = "oom_kill",
        [MA_CGROUP_EVENT_OOM_GROUP_KILL] = "oom_group_kill",
    };
    struct ma_cgroup_sample *s = userdata;
    for (unsigned i = 0; i < MA_CGROUP_EVENT_COUNT; i++) {
        const char *value = ma_ktext_field(line, names[i]);
        uint64_t v;
        if (value != NULL && ma_ktext_u64(&value, &v) && *value == '\0') {
            s->events[i] = v;
            s->has |= MA_CGROUP_HAS_EVENTS;
        }
    }
    return 0;
}

/* The node's entry, made in its place if need be; NULL: no room. */
static struct ma_guest_node *node_of(struct ma_cgroup_numa *numa, uint16_t id) {
    size_t at = 0;
    while (at < numa->n && numa->nodes[at].id < id) {
        at++;
    }
    if (at < numa->n && numa->nodes[at].id == id) {
        return &numa->nodes[at];
    }
    if (numa->n == numa->capacity) {
        return NULL;
    }
    memmove(&numa->nodes[at + 1], &numa->nodes[at], (numa->n - at) * sizeof(numa->nodes[0]));
    numa->nodes[at] = (struct ma_guest_node){.id = id};
    numa->n++;
    return &numa->nodes[at];
}

int ma_cgroup_numa_parse_line(void *userdata, const char *line) {
    struct ma_cgroup_numa *numa = userdata;
    const char *p = ma_ktext_field(line, "anon");
    p = p != NULL ? p : ma_ktext_field(line, "shmem");
    while (p != NULL && *p == 'N') {
        uint64_t id;
        uint64_t bytes;
        p++;
        if (!ma_ktext_u64(&p, &id) || id > 1023 || *p++ != '=' || !ma_ktext_u64(&p, &bytes) ||
            bytes > MA_BYTES_MAX) {
            return -EINVAL;
        }
        struct ma_guest_node *node = node_of(numa, (uint16_t) id);
        if (node == NULL) {
            return -ENOBUFS;
        }
        node->resident_bytes = ma_min_u64(ma_add_sat(node->resident_bytes, bytes), MA_BYTES_MAX);
        p += *p == ' ';
    }
    return 0;
}
