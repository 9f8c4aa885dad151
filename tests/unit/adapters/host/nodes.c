/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bytes.h"
#include "host-memory.h"
#include "host-nodes.h"
#include "tap.h"
#include "tree.h"

#define NODE_SYS "sys/devices/system/node/"
static struct ma_host_nodes nodes;
static struct ma_host_memory memory;

static const char zoneinfo_text[] =
    "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 2605\n  pages free     3840\n"
    "        boost    0\n        min      5\n        low      10\n        high     20\n"
    "        managed  3840\n        protection: (0, 2000, 5000, 5000)\n  pagesets\n    cpu: 0\n"
    "              count:    7\n              high:     99999\n              batch:    1\n"
    "Node 0, zone   Normal\n  pages free     262144\n        boost    0\n        low      5000\n"
    "        high     6000\n        managed  2000000\n        protection: (0, 0, 0, 0)\n"
    "Node 1, zone   Normal\n  pages free     0\n        managed  0\n        protection: (0, 0)\n"
    "Node 3, zone   Normal\n  pages free     5000\n        boost    1000\n        low      6000\n"
    "        high     8000\n        managed  2000000\n        protection: (0, 0, 0, 0)\n";
static const char node0_text[] =
    "Node 0 MemTotal:  8388608 kB\nNode 0 MemFree:  1048576 kB\n"
    "Node 0 Active(file): 400000 kB\nNode 0 Inactive(file): 200000 kB\n"
    "Node 0 KReclaimable: 100000 kB\nNode 0 SReclaimable: 80000 kB\n";
static const char node3_text[] = "Node 3 MemTotal:  8388608 kB\nNode 3 MemFree:  20000 kB\n"
                                 "Node 3 Active(file): 1000 kB\nNode 3 Inactive(file): 1000 kB\n"
                                 "Node 3 SReclaimable: 500 kB\n";

static void make_two_nodes(struct tree *t) {
    tree_make(t);
    tree_write(t, "proc/zoneinfo", zoneinfo_text);
    tree_write(t, NODE_SYS "has_memory", "0,3\n");
    tree_write(t, NODE_SYS "node0/meminfo", node0_text);
    tree_write(t, NODE_SYS "node1/meminfo", "Node 1 MemTotal: 0 kB\nNode 1 MemFree: 0 kB\n");
    tree_write(t, NODE_SYS "node3/meminfo", node3_text);
    tree_write(t, NODE_SYS "node0/hugepages/hugepages-2048kB/nr_hugepages", "100\n");
    tree_write(t, NODE_SYS "node0/hugepages/hugepages-2048kB/free_hugepages", "40\n");
    tree_write(t, NODE_SYS "node0/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    tree_write(t, NODE_SYS "node0/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
}

static int open_tree(const struct tree *t, struct ma_err *err) {
    char proc[256];
    char sys[256];
    int r = ma_host_nodes_open(&nodes, tree_path(t, "proc", proc), tree_path(t, "sys", sys), err);
    nodes.page_bytes = 4096; /* the made-up figures' */
    return r;
}

static void two_nodes_by_the_kernels_formula(void) {
    struct tree t;
    struct ma_err err;
    struct ma_node got[8];
    size_t n = 0;
    make_two_nodes(&t);
    CHECK_I64(open_tree(&t, &err), 0);
    CHECK_I64(ma_host_nodes_read(&nodes, 1, got, 8, &n), 0);
    CHECK_U64(n, 2);
    CHECK_U64(got[0].id, 0);
    CHECK_U64(got[0].total_bytes, 8 * MA_GIB);
    /* free - (3840 + 6000) pages + files - low + reclaimable - low, low being 5010 pages */
    CHECK_U64(got[0].available_bytes,
              (UINT64_C(1048576) - 39360 + 600000 - 20040 + 100000 - 20040) * MA_KIB);
    CHECK_U64(got[0].has, MA_NODE_HAS_HUGEPAGES);
    CHECK_U64(got[0].hugepage_total_bytes, 2 * MA_GIB + 200 * MA_MIB);
    CHECK_U64(got[0].hugepage_free_bytes, 1 * MA_GIB + 80 * MA_MIB);
    CHECK_U64(got[1].id, 3);
    CHECK_U64(got[1].available_bytes, 0); /* below the reserve: not negative */
    CHECK_U64(got[1].has, 0);
    CHECK_I64(ma_host_nodes_read(&nodes, 1, got, 1, &n), -ENOBUFS);
    CHECK(ma_host_nodes_add_up(got, 2, 16 * MA_GIB));
    CHECK(!ma_host_nodes_add_up(got, 2, 32 * MA_GIB));
    ma_host_nodes_close(&nodes);
    tree_remove(&t);
}

static void nodes_come_and_go(void) {
    struct tree t;
    struct ma_err err;
    struct ma_node got[8];
    size_t n = 0;
    make_two_nodes(&t);
    CHECK_I64(open_tree(&t, &err), 0);
    CHECK_I64(ma_host_nodes_read(&nodes, 1, got, 8, &n), 0);
    tree_write(&t, NODE_SYS "has_memory", "3\n");
    CHECK_I64(ma_host_nodes_read(&nodes, 2, got, 8, &n), 0);
    CHECK_U64(n, 1);
    CHECK_U64(got[0].id, 3);
    tree_write(&t, NODE_SYS "has_memory", "0,3,7\n"); /* 7 is announced but not there yet */
    CHECK_I64(ma_host_nodes_read(&nodes, 3, got, 8, &n), 0);
    CHECK_U64(n, 2);
    tree_write(&t, NODE_SYS "node7/meminfo",
               "Node 7 MemTotal: 1024 kB\nNode 7 MemFree: 1000 kB\n"
               "Node 7 Active(file): 0 kB\nNode 7 Inactive(file): 0 kB\n");
    CHECK_I64(ma_host_nodes_read(&nodes, 4, got, 8, &n), 0);
    CHECK_U64(n, 2); /* no watermarks of it: nothing is guessed */
    tree_write(&t, NODE_SYS "has_memory", "nonsense\n");
    CHECK_I64(ma_host_nodes_read(&nodes, 5, got, 8, &n), -EINVAL);
    tree_write(&t, NODE_SYS "has_memory", "0\n");
    CHECK_I64(ma_host_nodes_read(&nodes, 6, got, 8, &n), 0);
    CHECK_U64(n, 1);
    ma_host_nodes_close(&nodes);
    tree_remove(&t);
}

static void watermarks_are_read_again_after_a_while(void) {
    struct tree t;
    struct ma_err err;
    struct ma_node before[8];
    struct ma_node now[8];
    size_t n;
    make_two_nodes(&t);
    CHECK_I64(open_tree(&t, &err), 0);
    CHECK_I64(ma_host_nodes_read(&nodes, 1, before, 8, &n), 0);
    tree_write(&t, "proc/zoneinfo",
               "Node 0, zone Normal\n  low 0\n  high 0\n  managed 2000000\nNode 3, zone Normal\n  "
               "managed 9\n");
    CHECK_I64(ma_host_nodes_read(&nodes, 2, now, 8, &n), 0);
    CHECK_U64(now[0].available_bytes, before[0].available_bytes);
    CHECK_I64(ma_host_nodes_read(&nodes, 60 * MA_USEC_PER_SEC, now, 8, &n), 0);
    CHECK_U64(now[0].available_bytes, (UINT64_C(1048576) + 600000 + 100000) * MA_KIB);
    ma_host_nodes_close(&nodes);
    tree_remove(&t);
}

static void broken_node_is_left_out_alone(void) {
    static const char *const bad[] = {
        "",
        "Node 0 MemTotal:  8388608 kB\n",
        "Node 0 MemTotal:  8388608 kB\nNode 0 MemFree: x kB\nNode 0 Active(file): 1 kB\nNode 0 "
        "Inactive(file): 1 kB\n",
        "Node 0 MemTotal:  99999999999999999999 kB\nNode 0 MemFree: 1 kB\nNode 0 Active(file): 1 "
        "kB\nNode 0 Inac",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tree t;
        struct ma_err err;
        struct ma_node got[8];
        size_t n = 0;
        make_two_nodes(&t);
        tree_write(&t, NODE_SYS "node0/meminfo", bad[i]);
        CHECK_I64(open_tree(&t, &err), 0);
        CHECK_I64(ma_host_nodes_read(&nodes, 1, got, 8, &n), 0);
        CHECK_U64(n, 1);
        CHECK_U64(got[0].id, 3);
        ma_host_nodes_close(&nodes);
        tree_remove(&t);
    }
}

static void host_without_numa_is_named(void) {
    struct tree t;
    struct ma_err err;
    tree_make(&t);
    tree_write(&t, "proc/zoneinfo", "");
    tree_write(&t, "sys/x", "");
    CHECK_I64(open_tree(&t, &err), -ENOENT);
    CHECK(strstr(err.message, "NUMA") != NULL);
    tree_remove(&t);
}

/* The stated error: from the sum of nodes being at most 2 x low above MemAvailable (each min() is per node), and
 * the machine moving between two reads. What MemTotal has beyond all nodes (memory that a hypervisor plugs on use) is
 * in MemAvailable as well and is taken off. */
static void check_sum(const char *proc, const char *sys, uint64_t tolerance_bytes) {
    struct ma_err err;
    struct ma_node got[MA_HOST_NODES_MAX];
    struct ma_meminfo info;
    uint64_t total = 0;
    uint64_t available = 0;
    size_t n = 0;
    if (ma_host_nodes_open(&nodes, proc, sys, &err) == -ENOENT) {
        return; /* a kernel without NUMA */
    }
    CHECK_I64(ma_host_memory_open(&memory, proc, &err), 0);
    CHECK_I64(ma_host_nodes_read(&nodes, 1, got, MA_HOST_NODES_MAX, &n), 0);
    CHECK_I64(ma_host_memory_read(&memory, &info, &err), 0);
    CHECK(n >= 1);
    for (size_t i = 0; i < n; i++) {
        total += got[i].total_bytes;
        available += got[i].available_bytes;
    }
    uint64_t expected = ma_sub_floor0(info.available_bytes, ma_sub_floor0(info.total_bytes, total));
    uint64_t apart = ma_max_u64(available, expected) - ma_min_u64(available, expected);
    (void) fprintf(stderr,
                   "# nodes %" PRIu64 " KiB, machine %" PRIu64 " KiB, apart %" PRIu64 " KiB\n",
                   available / MA_KIB, expected / MA_KIB, apart / MA_KIB);
    CHECK(apart <= tolerance_bytes);
    ma_host_memory_close(&memory);
    ma_host_nodes_close(&nodes);
}

static void recorded_nodes_agree_with_the_machine(void) {
    check_sum(TEST_DATA "/proc-one-node/proc", TEST_DATA "/proc-one-node/sys", 1 * MA_MIB);
}
static void live_nodes_agree_with_the_machine(void) {
    struct ma_err err;
    struct ma_meminfo info;
    CHECK_I64(ma_host_memory_open(&memory, "/proc", &err), 0);
    CHECK_I64(ma_host_memory_read(&memory, &info, &err), 0);
    ma_host_memory_close(&memory);
    check_sum("/proc", "/sys", info.total_bytes / 50);
}

static void lists_of_nodes(void) {
    uint16_t ids[4];
    CHECK_I64(ma_node_list_parse("0-1,5\n", ids, 4), 3);
    CHECK_U64(ids[2], 5);
    CHECK_I64(ma_node_list_parse("\n", ids, 4), 0);
    CHECK_I64(ma_node_list_parse("0-4", ids, 4), -ENOBUFS);
    static const char *const bad[] = {
        "2-1", "0,0", "1,0", "0-", "x", "0-1024", "0-99999999999999999999", "0 1", "0,,1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_node_list_parse(bad[i], ids, 4), -EINVAL);
    }
}

TAP_MAIN(TAP_CASE(two_nodes_by_the_kernels_formula),
         TAP_CASE(nodes_come_and_go),
         TAP_CASE(watermarks_are_read_again_after_a_while),
         TAP_CASE(broken_node_is_left_out_alone),
         TAP_CASE(host_without_numa_is_named),
         TAP_CASE(recorded_nodes_agree_with_the_machine),
         TAP_CASE(live_nodes_agree_with_the_machine),
         TAP_CASE(lists_of_nodes));
