/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hugepages.c - pools on a host with two nodes, with one, with none; files that are missing or odd. */
#include "hugepages.h"

#include <errno.h>

#include "bytes.h"
#include "tree.h"

#define NODE(n, kb)  "devices/system/node/node" #n "/hugepages/hugepages-" #kb "kB/free_hugepages"
#define MM(kb, name) "kernel/mm/hugepages/hugepages-" #kb "kB/" name

static void two_nodes_and_the_systems_promises(void) {
    struct tree t;
    struct ma_admit_pool pools[MA_ADMIT_POOLS_MAX];
    size_t n = 0;
    tree_make(&t);
    tree_write(&t, "devices/system/node/has_memory", "0-1\n");
    tree_write(&t, NODE(0, 2048), "10\n");
    tree_write(&t, NODE(1, 2048), "3\n");
    tree_write(&t, NODE(1, 1048576), "2\n");
    tree_write(&t, MM(2048, "free_hugepages"), "13\n");
    tree_write(&t, MM(2048, "resv_hugepages"), "4\n");
    tree_write(&t, MM(2048, "nr_overcommit_hugepages"), "6\n");
    tree_write(&t, MM(2048, "surplus_hugepages"), "1\n");
    CHECK_I64(ma_hugepages_read(t.root, pools, MA_ADMIT_POOLS_MAX, &n), 0);
    CHECK_U64(n, 4);
    CHECK_U64(pools[0].node, 0);
    CHECK_U64(pools[0].free_bytes, 20 * MA_MIB);
    CHECK_U64(pools[1].free_bytes, 6 * MA_MIB);
    CHECK_U64(pools[2].page_bytes, MA_GIB);
    CHECK_U64(pools[2].free_bytes, 2 * MA_GIB);
    CHECK_U64(pools[3].node, MA_ADMIT_POOL_ANYWHERE);
    CHECK_U64(pools[3].free_bytes, 10 * MA_MIB);
    CHECK_U64(pools[3].owned_bytes, 8 * MA_MIB);
    CHECK_I64(ma_hugepages_read(t.root, pools, 3, &n), -ENOBUFS);
    tree_remove(&t);
}

static void without_nodes_the_system_is_the_pool(void) {
    struct tree t;
    struct ma_admit_pool pools[4];
    size_t n = 0;
    tree_make(&t);
    CHECK_I64(ma_hugepages_read(t.root, pools, 4, &n), -ENOENT);
    tree_write(&t, MM(2048, "free_hugepages"), "5\n");
    CHECK_I64(ma_hugepages_read(t.root, pools, 4, &n), 0);
    CHECK_U64(n, 2);
    CHECK_U64(pools[0].node, 0);
    CHECK_U64(pools[0].free_bytes, 10 * MA_MIB);
    CHECK_U64(pools[1].free_bytes | pools[1].owned_bytes, 0);
    tree_write(&t, MM(2048, "free_hugepages"), "18446744073709551615\n");
    CHECK_I64(ma_hugepages_read(t.root, pools, 4, &n), 0);
    CHECK_U64(pools[0].free_bytes, MA_BYTES_MAX);
    CHECK(ma_hugepages_read("/nonexistent", pools, 4, &n) < 0);
    tree_remove(&t);
}

static void what_the_kernel_says_of_itself(void) {
    struct tree t;
    tree_make(&t);
    CHECK_U64(ma_hugepages_default_bytes(t.root), 0);
    CHECK(!ma_host_is_commit_enforced(t.root));
    tree_write(&t, "meminfo", "MemTotal: 1 kB\nHugepagesize:       2048 kB\nHugetlb: 0 kB\n");
    tree_write(&t, "sys/vm/overcommit_memory", "2\n");
    CHECK_U64(ma_hugepages_default_bytes(t.root), 2 * MA_MIB);
    CHECK(ma_host_is_commit_enforced(t.root));
    tree_write(&t, "sys/vm/overcommit_memory", "0\n");
    CHECK(!ma_host_is_commit_enforced(t.root));
    tree_remove(&t);
}

TAP_MAIN(TAP_CASE(two_nodes_and_the_systems_promises),
         TAP_CASE(without_nodes_the_system_is_the_pool),
         TAP_CASE(what_the_kernel_says_of_itself));
