/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host-parse.c - text of the kernel, cut and garbled: every parser of the host adapters sees every input. What comes
 * out must keep the bounds that callers rely on. */
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "bytes.h"
#include "cgroup-limits.h"
#include "cgroup-parse.h"
#include "host-memory.h"
#include "host-nodes.h"
#include "ktext.h"
#include "node-move.h"
#include "process.h"
#include "psi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ma_zoneinfo zoneinfo;
static char buf[MA_KTEXT_BUFFER_BYTES];

static void must(bool holds) {
    if (!holds) {
        abort();
    }
}

static void machine(const char *text, size_t size) {
    struct ma_meminfo info = {0};
    struct ma_vmstat counters = {0};
    struct ma_node_meminfo node = {0};
    struct ma_host host = {0};
    uint16_t ids[16];
    (void) ma_ktext_each_line_of(text, size, buf, ma_meminfo_parse_line, &info);
    (void) ma_ktext_each_line_of(text, size, buf, ma_arcstats_parse_line, &info);
    (void) ma_ktext_each_line_of(text, size, buf, ma_vmstat_parse_line, &counters);
    (void) ma_ktext_each_line_of(text, size, buf, ma_node_meminfo_parse_line, &node);
    ma_host_memory_to_host(&info, &host);
    must(host.total_bytes <= MA_BYTES_MAX && host.available_bytes <= host.total_bytes);
    must(host.swap_free_bytes <= host.swap_total_bytes);
    ma_zoneinfo_begin(&zoneinfo);
    (void) ma_ktext_each_line_of(text, size, buf, ma_zoneinfo_parse_line, &zoneinfo);
    ma_zoneinfo_end(&zoneinfo);
    must(ma_node_available_bytes(&node, &zoneinfo.nodes[0], 4096) <= node.total_bytes);
    must(ma_node_list_parse(text, ids, 16) <= 16);
}

static int numa_line(void *userdata, const char *text) {
    struct ma_numa_line line = {0};
    (void) userdata;
    if (ma_numa_line_parse(text, 1, &line)) {
        must(line.node_pages <= MA_BYTES_MAX / 4096);
        must((unsigned) line.placement < MA_PLACEMENT_COUNT);
    }
    return 0;
}

static void processes(const char *text, size_t size) {
    struct ma_process_sample sample = {0};
    struct ma_process_identity identity = {0};
    struct ma_process_cgroup group = {0};
    struct ma_process_cpu cpu;
    (void) ma_ktext_each_line_of(text, size, buf, ma_process_status_parse_line, &sample);
    (void) ma_ktext_each_line_of(text, size, buf, ma_process_argument_parse, &identity);
    (void) ma_ktext_each_line_of(text, size, buf, ma_process_cgroup_parse_line, &group);
    (void) ma_ktext_each_line_of(text, size, buf, numa_line, NULL);
    (void) ma_process_stat_parse(text, &cpu);
    uint64_t io_bytes;
    (void) ma_process_io_parse(text, &io_bytes);
    must(sample.rss_bytes <= MA_BYTES_MAX && sample.locked_bytes <= MA_BYTES_MAX);
    must(strlen(identity.name) < sizeof(identity.name));
    must(identity.uuid[0] == '\0' || strlen(identity.uuid) == 36);
    must(!group.has_v2 || (group.v2[0] == '/' && strstr(group.v2, "/../") == NULL));
}

static void cgroups(const char *text, size_t size) {
    struct ma_cgroup_sample sample = {.has = MA_CGROUP_HAS_CURRENT, .current_bytes = size};
    struct ma_guest_node nodes[4];
    struct ma_cgroup_numa numa = {.nodes = nodes, .capacity = 4};
    struct ma_host host = {.total_bytes = MA_GIB, .available_bytes = MA_MIB};
    struct ma_psi psi = {.has = 0};
    (void) ma_ktext_each_line_of(text, size, buf, ma_cgroup_stat_parse_line, &sample);
    (void) ma_ktext_each_line_of(text, size, buf, ma_cgroup_v1_stat_parse_line, &sample);
    (void) ma_ktext_each_line_of(text, size, buf, ma_cgroup_events_parse_line, &sample);
    (void) ma_ktext_each_line_of(text, size, buf, ma_cgroup_numa_parse_line, &numa);
    must(numa.n <= 4);
    for (size_t i = 1; i < numa.n; i++) {
        must(nodes[i - 1].id < nodes[i].id && nodes[i].resident_bytes <= MA_BYTES_MAX);
    }
    (void) ma_psi_parse(text, &psi);
    must(psi.some_avg10_permyriad <= MA_PERMYRIAD_FULL &&
         psi.full_avg60_permyriad <= MA_PERMYRIAD_FULL);
    uint64_t usec_per_s = 0;
    (void) ma_cgroup_cpu_max_parse(text, &usec_per_s);
    struct ma_cgroup_owner owner;
    struct ma_cgroup group = {.dir_fd = 0, .layout = MA_CGROUP_V2};
    (void) memcpy(group.path, text, size < sizeof(group.path) ? size + 1 : sizeof(group.path) - 1);
    ma_cgroup_owner_of(&group, &owner);
    must(owner.kind != MA_CGROUP_OWNER_SYSTEMD ||
         (owner.unit[0] != '\0' && strchr(owner.unit, '/') == NULL &&
          strncmp(group.path, owner.path, strlen(owner.path)) == 0));
    sample.pressure = psi;
    must(ma_budget_narrow_to_cgroup(&host, &sample) == 0 && host.available_bytes <= MA_MIB);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    machine(text, size);
    processes(text, size);
    cgroups(text, size);
    free(text);
    return 0;
}
