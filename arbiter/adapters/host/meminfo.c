/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* meminfo.c - the text of meminfo, vmstat and ZFS's arcstats, and what follows from it. Pure. */
#include <string.h>

#include "bytes.h"
#include "host-memory.h"

int ma_meminfo_parse_line(void *userdata, const char *line) {
    struct ma_meminfo *m = userdata;
    const struct {
        const char *key;
        uint32_t bit;
        uint64_t *to;
    } fields[] = {
        {"MemTotal", MA_MEMINFO_HAS_TOTAL, &m->total_bytes},
        {"MemFree", MA_MEMINFO_HAS_FREE, &m->free_bytes},
        {"MemAvailable", MA_MEMINFO_HAS_AVAILABLE, &m->available_bytes},
        {"SwapTotal", MA_MEMINFO_HAS_SWAP_TOTAL, &m->swap_total_bytes},
        {"SwapFree", MA_MEMINFO_HAS_SWAP_FREE, &m->swap_free_bytes},
        {"Committed_AS", MA_MEMINFO_HAS_COMMITTED, &m->committed_bytes},
        {"CommitLimit", MA_MEMINFO_HAS_COMMIT_LIMIT, &m->commit_limit_bytes},
        {"Hugetlb", MA_MEMINFO_HAS_HUGETLB, &m->hugetlb_bytes},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *value = ma_ktext_field(line, fields[i].key);
        if (value != NULL) {
            m->has |= ma_ktext_kib(value, fields[i].to) ? fields[i].bit : 0;
            break;
        }
    }
    return 0;
}

/* "size    4    123456": name, type, value (OpenZFS 2.1 kstat "named" form). Both have to be there. */
int ma_arcstats_parse_line(void *userdata, const char *line) {
    struct ma_meminfo *m = userdata;
    const char *value = ma_ktext_field(line, "size");
    uint64_t *to = &m->arc_size_bytes;
    if (value == NULL) {
        value = ma_ktext_field(line, "c_min");
        to = &m->arc_min_bytes;
    }
    uint64_t type;
    if (value == NULL || !ma_ktext_u64(&value, &type)) {
        return 0;
    }
    while (*value == ' ' || *value == '\t') {
        value++;
    }
    uint64_t bytes;
    if (ma_ktext_bytes(value, &bytes) && bytes <= MA_BYTES_MAX) {
        *to = bytes;
        /* A floor of 0 would count the whole cache as available: known only when both lines came, c_min first. */
        if (to == &m->arc_size_bytes ? m->arc_min_bytes > 0 : m->arc_size_bytes > 0) {
            m->has |= MA_MEMINFO_HAS_ARC;
        }
    }
    return 0;
}

void ma_host_memory_to_host(const struct ma_meminfo *info, struct ma_host *host) {
    const uint32_t swap = MA_MEMINFO_HAS_SWAP_TOTAL | MA_MEMINFO_HAS_SWAP_FREE;
    uint64_t arc = 0;
    if ((info->has & MA_MEMINFO_HAS_ARC) != 0) {
        arc = ma_sub_floor0(info->arc_size_bytes, info->arc_min_bytes);
    }
    host->total_bytes = info->total_bytes;
    host->available_bytes = ma_min_u64(ma_add_sat(info->available_bytes, arc), info->total_bytes);
    host->swap_total_bytes = 0;
    host->swap_free_bytes = 0;
    host->has &= ~(uint32_t) (MA_HOST_HAS_SWAP | MA_HOST_HAS_COMMITTED | MA_HOST_HAS_COMMIT_LIMIT);
    if ((info->has & swap) == swap) {
        host->has |= MA_HOST_HAS_SWAP;
        host->swap_total_bytes = info->swap_total_bytes;
        host->swap_free_bytes = ma_min_u64(info->swap_free_bytes, info->swap_total_bytes);
    }
    host->committed_bytes = info->committed_bytes;
    host->commit_limit_bytes = info->commit_limit_bytes;
    host->has |= (info->has & MA_MEMINFO_HAS_COMMITTED) != 0 ? MA_HOST_HAS_COMMITTED : 0U;
    host->has |= (info->has & MA_MEMINFO_HAS_COMMIT_LIMIT) != 0 ? MA_HOST_HAS_COMMIT_LIMIT : 0U;
}

static bool vmstat_counter_of(const char *line, enum ma_vmstat_counter *ret, const char **value) {
    static const char *const names[MA_VMSTAT_COUNT] = {
        [MA_VMSTAT_OOM_KILL] = "oom_kill",
        [MA_VMSTAT_ALLOCSTALL] = "allocstall", /* before Linux 4.10: one counter */
        [MA_VMSTAT_PGSCAN_DIRECT] = "pgscan_direct",
        [MA_VMSTAT_PSWPIN] = "pswpin",
        [MA_VMSTAT_PSWPOUT] = "pswpout",
        [MA_VMSTAT_REFAULT_ANON] = "workingset_refault_anon",
        [MA_VMSTAT_REFAULT_FILE] = "workingset_refault_file",
    };
    if (strncmp(line, "allocstall_", 11) == 0) {
        *value = strchr(line, ' ');
        *value = *value != NULL ? *value + 1 : "";
        *ret = MA_VMSTAT_ALLOCSTALL;
        return true;
    }
    for (unsigned i = 0; i < MA_VMSTAT_COUNT; i++) {
        *value = ma_ktext_field(line, names[i]);
        if (*value != NULL) {
            *ret = (enum ma_vmstat_counter) i;
            return true;
        }
    }
    return false;
}

int ma_vmstat_parse_line(void *userdata, const char *line) {
    struct ma_vmstat *s = userdata;
    enum ma_vmstat_counter counter;
    const char *value;
    uint64_t v;
    if (vmstat_counter_of(line, &counter, &value) && ma_ktext_u64(&value, &v) && *value == '\0') {
        s->counters[counter] = ma_add_sat(s->counters[counter], v);
        s->has |= 1U << counter;
    }
    return 0;
}

struct ma_vmstat
ma_vmstat_delta(const struct ma_vmstat *before, const struct ma_vmstat *now, bool *ret_restarted) {
    struct ma_vmstat d = {.has = before->has & now->has};
    bool restarted = false;
    for (unsigned i = 0; i < MA_VMSTAT_COUNT; i++) {
        if ((d.has & (1U << i)) != 0) {
            restarted = restarted || now->counters[i] < before->counters[i];
            d.counters[i] = ma_sub_floor0(now->counters[i], before->counters[i]);
        }
    }
    if (ret_restarted != NULL) {
        *ret_restarted = restarted;
    }
    return d;
}
