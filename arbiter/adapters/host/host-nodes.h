/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* host-nodes.h - memory of each NUMA node: total, available by the kernel's own formula, huge pages.
 * Node files are opened when a node appears; a sample allocates nothing. One context, one thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "ktext.h"
#include "snapshot.h"

/* Nodes with memory that are looked at; with more, reading fails with -ENOBUFS. 64 is above any x86 host (guess). */
#define MA_HOST_NODES_MAX 64
/* Huge page sizes per node: x86-64 has two, arm64 with 64 KiB pages four. */
#define MA_HOST_HUGE_SIZES_MAX 8
#define MA_HOST_NODE_ID_MAX    1023U

/* Pages that a node keeps back, from /proc/zoneinfo. */
struct ma_zone_reserve {
    bool is_known;
    uint64_t reserve_pages; /* sum over zones of min(managed, high + largest protection) */
    uint64_t low_pages;     /* sum over zones of the low watermark */
};
struct ma_zoneinfo {
    struct ma_zone_reserve nodes[MA_HOST_NODE_ID_MAX + 1]; /* by node id */
    /* the zone being read */
    bool in_zone;
    uint32_t node;
    uint64_t boost_pages, low_pages, high_pages, managed_pages, protection_pages;
};
struct ma_node_huge {
    uint64_t page_bytes;
    int total_fd;
    int free_fd;
};
struct ma_node_files {
    uint16_t id;
    int meminfo_fd;
    unsigned n_huge;
    struct ma_node_huge huge[MA_HOST_HUGE_SIZES_MAX];
};
struct ma_host_nodes {
    int sys_fd;  /* sys_root/devices/system/node; -1: kernel without NUMA */
    int list_fd; /* has_memory, or online where that is missing */
    int zoneinfo_fd;
    uint64_t page_bytes;
    uint64_t zoneinfo_usec; /* when it was read last; 0: never */
    char list[512];         /* the list of nodes the files were opened for */
    size_t n_files;
    struct ma_node_files files[MA_HOST_NODES_MAX];
    struct ma_zoneinfo zoneinfo;
    char buf[MA_KTEXT_BUFFER_BYTES];
};
/* The context is about 45 KiB: static or heap, not stack. proc_root "/proc", sys_root "/sys". -ENOENT: no NUMA in
 * this kernel (then the host has no node rows); -EACCES etc. named. */
int ma_host_nodes_open(struct ma_host_nodes *h,
                       const char *proc_root,
                       const char *sys_root,
                       struct ma_err *err);
void ma_host_nodes_close(struct ma_host_nodes *h);
/* Fills ret_nodes[0..*ret_n-1], sorted by id: id, total, available, huge pages and their bit; slope and age are the
 * caller's. Nodes without memory, that went away in between, or without readable figures are left out. now_usec:
 * CLOCK_MONOTONIC (watermarks are read again every 30 s and when the list of nodes changes).
 * -ENOBUFS: more nodes than capacity (nothing is filled). */
int ma_host_nodes_read(struct ma_host_nodes *h,
                       uint64_t now_usec,
                       struct ma_node *ret_nodes,
                       size_t capacity,
                       size_t *ret_n);
/* Do the nodes add up to the machine (within 5 %)? Not so where a hypervisor's hot-plug shows memory in MemTotal that
 * no node has yet: node rows would then see a shortage that is none, and are better left out. Pure. */
bool ma_host_nodes_add_up(const struct ma_node *nodes, size_t n_nodes, uint64_t host_total_bytes);

/* What a node's meminfo says, in bytes. */
struct ma_node_meminfo {
    uint32_t has; /* MA_NODE_MEMINFO_* */
    uint64_t total_bytes, free_bytes, active_file_bytes, inactive_file_bytes, reclaimable_bytes;
};
enum ma_node_meminfo_has {
    MA_NODE_MEMINFO_TOTAL = 1U << 0,
    MA_NODE_MEMINFO_FREE = 1U << 1,
    MA_NODE_MEMINFO_ACTIVE_FILE = 1U << 2,
    MA_NODE_MEMINFO_INACTIVE_FILE = 1U << 3,
    MA_NODE_MEMINFO_RECLAIMABLE = 1U << 4, /* KReclaimable, else SReclaimable */
    MA_NODE_MEMINFO_KRECLAIMABLE = 1U << 5,
};
int ma_node_meminfo_parse_line(void *userdata, const char *line);
/* Call _begin before the first and _end after the last line. */
void ma_zoneinfo_begin(struct ma_zoneinfo *z);
int ma_zoneinfo_parse_line(void *userdata, const char *line);
void ma_zoneinfo_end(struct ma_zoneinfo *z);
/* Pure: Linux 6.1 mm/page_alloc.c si_mem_available() with a node's figures. */
uint64_t ma_node_available_bytes(const struct ma_node_meminfo *info,
                                 const struct ma_zone_reserve *reserve,
                                 uint64_t page_bytes);
/* Pure: "0-2,5" -> ids in order. Returns how many, or -EINVAL; above capacity: -ENOBUFS. */
int ma_node_list_parse(const char *text, uint16_t *ret_ids, size_t capacity);
