/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* zoneinfo.c - a node's available memory by the kernel's own formula. Pure.
 *
 * Linux 6.1 mm/page_alloc.c si_mem_available(), with figures per node in the place of the machine's:
 *   free - reserve + (file - min(file / 2, low)) + (reclaimable - min(reclaimable / 2, low)), never below 0
 *   reserve = calculate_totalreserve_pages(): per zone min(managed, high + largest lowmem protection)
 *   low     = sum of the zones' low watermarks
 * Error: each min() is taken per node, so the sum over nodes exceeds the machine's MemAvailable by at most 2 x low and
 * never falls below it. Measured: 0-4 KiB with two nodes on Linux 6.1, 50 KiB with one on Linux 6.18 (counters per cpu).
 * "high" and "low" in zoneinfo include a passing boost; the kernel's reserve does not, so it is taken off high again. */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "host-nodes.h"

int ma_node_meminfo_parse_line(void *userdata, const char *line) {
    struct ma_node_meminfo *m = userdata;
    const struct {
        const char *key;
        uint32_t bit;
        uint64_t *to;
    } fields[] = {
        {"MemTotal", MA_NODE_MEMINFO_TOTAL, &m->total_bytes},
        {"MemFree", MA_NODE_MEMINFO_FREE, &m->free_bytes},
        {"Active(file)", MA_NODE_MEMINFO_ACTIVE_FILE, &m->active_file_bytes},
        {"Inactive(file)", MA_NODE_MEMINFO_INACTIVE_FILE, &m->inactive_file_bytes},
        {"KReclaimable", MA_NODE_MEMINFO_RECLAIMABLE | MA_NODE_MEMINFO_KRECLAIMABLE,
         &m->reclaimable_bytes},
        {"SReclaimable", MA_NODE_MEMINFO_RECLAIMABLE, &m->reclaimable_bytes},
    };
    uint64_t id;
    const char *p = ma_ktext_field(line, "Node");
    if (p == NULL || !ma_ktext_u64(&p, &id) || *p++ != ' ') {
        return 0;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *value = ma_ktext_field(p, fields[i].key);
        /* KReclaimable holds SReclaimable and more (Linux 4.20). */
        bool is_known_better = fields[i].bit == MA_NODE_MEMINFO_RECLAIMABLE &&
                               (m->has & MA_NODE_MEMINFO_KRECLAIMABLE) != 0;
        if (value != NULL && !is_known_better && ma_ktext_kib(value, fields[i].to)) {
            m->has |= fields[i].bit;
        }
    }
    return 0;
}

void ma_zoneinfo_begin(struct ma_zoneinfo *z) {
    memset(z, 0, sizeof(*z));
}

static void take_zone(struct ma_zoneinfo *z) {
    if (!z->in_zone) {
        return;
    }
    struct ma_zone_reserve *r = &z->nodes[z->node];
    uint64_t high = ma_sub_floor0(z->high_pages, z->boost_pages);
    uint64_t reserve = ma_min_u64(ma_add_sat(high, z->protection_pages), z->managed_pages);
    r->is_known = true;
    r->reserve_pages = ma_add_sat(r->reserve_pages, reserve);
    r->low_pages = ma_add_sat(r->low_pages, z->low_pages);
    z->in_zone = false;
}

/* "Node 0, zone   Normal". False: another line. */
static bool begin_zone(struct ma_zoneinfo *z, const char *line) {
    uint64_t id;
    if (strncmp(line, "Node ", 5) != 0) {
        return false;
    }
    take_zone(z);
    const char *p = line + 5;
    z->boost_pages = z->low_pages = z->high_pages = 0;
    z->managed_pages = z->protection_pages = 0;
    if (ma_ktext_u64(&p, &id) && id <= MA_HOST_NODE_ID_MAX && strncmp(p, ", zone ", 7) == 0) {
        z->node = (uint32_t) id;
        z->in_zone = true;
    }
    return true;
}

/* "(0, 3019, 4299)": the largest. */
static uint64_t largest_of(const char *p) {
    uint64_t largest = 0;
    while (*p == '(' || *p == ',' || *p == ' ') {
        uint64_t v;
        p++;
        if (ma_ktext_u64(&p, &v)) {
            largest = ma_max_u64(largest, v);
        }
    }
    return largest;
}

int ma_zoneinfo_parse_line(void *userdata, const char *line) {
    struct ma_zoneinfo *z = userdata;
    if (begin_zone(z, line) || !z->in_zone) {
        return 0;
    }
    const struct {
        const char *key;
        uint64_t *to;
    } fields[] = {
        {"boost", &z->boost_pages},
        {"low", &z->low_pages},
        {"high", &z->high_pages},
        {"managed", &z->managed_pages},
    };
    line += strspn(line, " ");
    const char *value = ma_ktext_field(line, "protection");
    if (value != NULL) {
        z->protection_pages = largest_of(value);
        return 0;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint64_t v;
        value = ma_ktext_field(line, fields[i].key);
        /* The lists per cpu have a "high:" of their own, with a colon: that one is not the watermark. */
        if (value != NULL && line[strlen(fields[i].key)] == ' ' && ma_ktext_u64(&value, &v)) {
            *fields[i].to = v;
        }
    }
    return 0;
}

void ma_zoneinfo_end(struct ma_zoneinfo *z) {
    take_zone(z);
}

uint64_t ma_node_available_bytes(const struct ma_node_meminfo *info,
                                 const struct ma_zone_reserve *reserve,
                                 uint64_t page_bytes) {
    uint64_t low = ma_mul_sat(reserve->low_pages, page_bytes);
    uint64_t kept = ma_mul_sat(reserve->reserve_pages, page_bytes);
    uint64_t file = ma_add_sat(info->active_file_bytes, info->inactive_file_bytes);
    uint64_t slab = info->reclaimable_bytes;
    file -= ma_min_u64(file / 2, low);
    slab -= ma_min_u64(slab / 2, low);
    uint64_t available = ma_add_sat(info->free_bytes, ma_add_sat(file, slab));
    return ma_min_u64(ma_sub_floor0(available, kept), info->total_bytes);
}

int ma_node_list_parse(const char *text, uint16_t *ret_ids, size_t capacity) {
    size_t n = 0;
    const char *p = text;
    while (*p >= '0' && *p <= '9') {
        uint64_t first;
        if (!ma_ktext_u64(&p, &first)) {
            return -EINVAL;
        }
        uint64_t last = first;
        if (*p == '-') {
            p++;
            if (!ma_ktext_u64(&p, &last)) {
                return -EINVAL;
            }
        }
        if (last < first || last > MA_HOST_NODE_ID_MAX || (n > 0 && first <= ret_ids[n - 1])) {
            return -EINVAL;
        }
        for (uint64_t id = first; id <= last; id++) {
            if (n == capacity) {
                return -ENOBUFS;
            }
            ret_ids[n++] = (uint16_t) id;
        }
        if (*p != ',') {
            break;
        }
        p++;
    }
    return *p == '\0' || *p == '\n' ? (int) n : -EINVAL;
}

bool ma_host_nodes_add_up(const struct ma_node *nodes, size_t n_nodes, uint64_t host_total_bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n_nodes; i++) {
        sum = ma_add_sat(sum, nodes[i].total_bytes);
    }
    uint64_t apart = ma_max_u64(sum, host_total_bytes) - ma_min_u64(sum, host_total_bytes);
    return apart <= host_total_bytes / 20;
}
