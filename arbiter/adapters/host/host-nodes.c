/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host-nodes.c - the files of each NUMA node.
 *
 * A tick reads the list of nodes with memory (one line), each node's meminfo and its huge page pools. Files are opened
 * only when that list changes: nodes come and go with memory hot-plug, ids are sparse. Watermarks come from
 * /proc/zoneinfo, which is long (nodes x zones x cpus) and changes only with min_free_kbytes, watermark_scale_factor
 * and hot-plug: it is read again every 30 s. A node that disappears under the reader answers ENODEV and is left out
 * of that sample. Trust: the kernel's; a node whose figures do not parse is left out, never reported as empty. */
#include "host-nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"

/* Too small: milliseconds of zoneinfo on a host of many cpus each tick; too large: an operator's min_free_kbytes is
 * noticed late, by which a node's available is wrong meanwhile (guess). */
#define ZONEINFO_AGE_MAX_USEC (30 * MA_USEC_PER_SEC)
/* hugepages-2048kB and so on: those that any architecture of Linux 6.1 has. */
static const uint32_t huge_sizes_kib[] = {64, 1024, 2048, 16384, 32768, 524288, 1048576, 16777216};
_Static_assert(sizeof(huge_sizes_kib) / sizeof(huge_sizes_kib[0]) <= MA_HOST_HUGE_SIZES_MAX,
               "huge sizes");

static void close_fd(int *fd) {
    ma_cleanup_close(fd);
    *fd = -1;
}

static void close_node(struct ma_node_files *f) {
    close_fd(&f->meminfo_fd);
    for (unsigned i = 0; i < f->n_huge; i++) {
        close_fd(&f->huge[i].total_fd);
        close_fd(&f->huge[i].free_fd);
    }
    f->n_huge = 0;
}

static void close_nodes(struct ma_host_nodes *h) {
    for (size_t i = 0; i < h->n_files; i++) {
        close_node(&h->files[i]);
    }
    h->n_files = 0;
    h->list[0] = '\0';
}

void ma_host_nodes_close(struct ma_host_nodes *h) {
    close_nodes(h);
    close_fd(&h->sys_fd);
    close_fd(&h->list_fd);
    close_fd(&h->zoneinfo_fd);
}

static int open_fixed(struct ma_host_nodes *h, const char *proc_root, const char *sys_root) {
    ma_auto_close int sys = open(sys_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    ma_auto_close int proc = open(proc_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    h->sys_fd = openat(sys, "devices/system/node", O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (h->sys_fd < 0) {
        return -errno;
    }
    h->list_fd = openat(h->sys_fd, "has_memory", O_RDONLY | O_CLOEXEC);
    if (h->list_fd < 0) {
        h->list_fd = openat(h->sys_fd, "online", O_RDONLY | O_CLOEXEC);
    }
    if (h->list_fd < 0) {
        return -errno;
    }
    h->zoneinfo_fd = openat(proc, "zoneinfo", O_RDONLY | O_CLOEXEC);
    return h->zoneinfo_fd < 0 ? -errno : 0;
}

int ma_host_nodes_open(struct ma_host_nodes *h,
                       const char *proc_root,
                       const char *sys_root,
                       struct ma_err *err) {
    memset(h, 0, sizeof(*h));
    h->sys_fd = h->list_fd = h->zoneinfo_fd = -1;
    h->page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);
    int r = open_fixed(h, proc_root, sys_root);
    if (r < 0) {
        ma_host_nodes_close(h);
        return ma_err_set(err, r, "cannot open the figures of NUMA nodes under %s and %s: %s",
                          sys_root, proc_root, strerror(-r));
    }
    return 0;
}

static int open_huge(int node_fd, uint32_t kib, struct ma_node_huge *ret) {
    char name[80];
    (void) snprintf(name, sizeof(name), "hugepages/hugepages-%ukB/nr_hugepages", kib);
    ma_auto_close int total = openat(node_fd, name, O_RDONLY | O_CLOEXEC);
    if (total < 0) {
        return -errno;
    }
    (void) snprintf(name, sizeof(name), "hugepages/hugepages-%ukB/free_hugepages", kib);
    int free_fd = openat(node_fd, name, O_RDONLY | O_CLOEXEC);
    if (free_fd < 0) {
        return -errno;
    }
    *ret = (struct ma_node_huge){.page_bytes = kib * MA_KIB, .total_fd = total, .free_fd = free_fd};
    total = -1;
    return 0;
}

static int open_node(const struct ma_host_nodes *h, uint16_t id, struct ma_node_files *ret) {
    char name[32];
    (void) snprintf(name, sizeof(name), "node%u", (unsigned) id);
    ma_auto_close int dir = openat(h->sys_fd, name, O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (dir < 0) {
        return -errno;
    }
    *ret = (struct ma_node_files){.id = id};
    ret->meminfo_fd = openat(dir, "meminfo", O_RDONLY | O_CLOEXEC);
    if (ret->meminfo_fd < 0) {
        return -errno;
    }
    for (size_t i = 0; i < sizeof(huge_sizes_kib) / sizeof(huge_sizes_kib[0]); i++) {
        if (open_huge(dir, huge_sizes_kib[i], &ret->huge[ret->n_huge]) == 0) {
            ret->n_huge++;
        }
    }
    return 0;
}

/* Opens the nodes that `list` names; those that cannot be opened are left out. */
static int reopen(struct ma_host_nodes *h, const char *list) {
    uint16_t ids[MA_HOST_NODES_MAX];
    int n = ma_node_list_parse(list, ids, MA_HOST_NODES_MAX);
    close_nodes(h);
    if (n < 0) {
        return n;
    }
    for (int i = 0; i < n; i++) {
        if (open_node(h, ids[i], &h->files[h->n_files]) == 0) {
            h->n_files++;
        }
    }
    if (h->n_files == (size_t) n) {
        memcpy(h->list, list, strlen(list) + 1); /* else the next sample tries again */
    }
    h->zoneinfo_usec = 0;
    return 0;
}

static int follow_list(struct ma_host_nodes *h) {
    char list[sizeof(h->list)];
    int r = ma_ktext_read_fd(h->list_fd, list, sizeof(list));
    if (r < 0) {
        return r;
    }
    return h->n_files > 0 && strcmp(list, h->list) == 0 ? 0 : reopen(h, list);
}

static int refresh_zoneinfo(struct ma_host_nodes *h, uint64_t now_usec) {
    if (h->zoneinfo_usec != 0 &&
        ma_sub_floor0(now_usec, h->zoneinfo_usec) < ZONEINFO_AGE_MAX_USEC) {
        return 0;
    }
    ma_zoneinfo_begin(&h->zoneinfo);
    int r = ma_ktext_each_line(h->zoneinfo_fd, '\n', h->buf, ma_zoneinfo_parse_line, &h->zoneinfo);
    ma_zoneinfo_end(&h->zoneinfo);
    h->zoneinfo_usec = r == 0 ? ma_max_u64(now_usec, 1) : 0;
    return r;
}

static bool read_count(int fd, uint64_t *ret) {
    char text[32];
    const char *p = text;
    return ma_ktext_read_fd(fd, text, sizeof(text)) > 0 && ma_ktext_u64(&p, ret);
}

static void read_huge(const struct ma_node_files *f, struct ma_node *node) {
    uint64_t total = 0;
    uint64_t free_bytes = 0;
    for (unsigned i = 0; i < f->n_huge; i++) {
        uint64_t n;
        uint64_t n_free;
        if (!read_count(f->huge[i].total_fd, &n) || !read_count(f->huge[i].free_fd, &n_free)) {
            return;
        }
        total = ma_add_sat(total, ma_mul_sat(n, f->huge[i].page_bytes));
        free_bytes = ma_add_sat(free_bytes, ma_mul_sat(n_free, f->huge[i].page_bytes));
    }
    if (f->n_huge > 0 && total <= MA_BYTES_MAX) {
        node->has |= MA_NODE_HAS_HUGEPAGES;
        node->hugepage_total_bytes = total;
        /* The two files are read one after the other; the pool may shrink between them. */
        node->hugepage_free_bytes = ma_min_u64(free_bytes, total);
    }
}

static bool read_node(struct ma_host_nodes *h, const struct ma_node_files *f, struct ma_node *ret) {
    const uint32_t needed = MA_NODE_MEMINFO_TOTAL | MA_NODE_MEMINFO_FREE |
                            MA_NODE_MEMINFO_ACTIVE_FILE | MA_NODE_MEMINFO_INACTIVE_FILE;
    struct ma_node_meminfo info = {.has = 0};
    const struct ma_zone_reserve *reserve = &h->zoneinfo.nodes[f->id];
    int r = ma_ktext_each_line(f->meminfo_fd, '\n', h->buf, ma_node_meminfo_parse_line, &info);
    if (r < 0) {
        h->list[0] = '\0'; /* it went away, perhaps to come back as another: look again */
        return false;
    }
    if ((info.has & needed) != needed || info.total_bytes == 0 || !reserve->is_known) {
        return false;
    }
    *ret = (struct ma_node){.id = f->id, .total_bytes = info.total_bytes};
    ret->available_bytes = ma_node_available_bytes(&info, reserve, h->page_bytes);
    read_huge(f, ret);
    return true;
}

int ma_host_nodes_read(struct ma_host_nodes *h,
                       uint64_t now_usec,
                       struct ma_node *ret_nodes,
                       size_t capacity,
                       size_t *ret_n) {
    int r = follow_list(h);
    if (r == 0) {
        r = refresh_zoneinfo(h, now_usec);
    }
    if (r < 0) {
        return r;
    }
    if (h->n_files > capacity) {
        return -ENOBUFS;
    }
    size_t n = 0;
    for (size_t i = 0; i < h->n_files; i++) {
        n += read_node(h, &h->files[i], &ret_nodes[n]) ? 1U : 0U;
    }
    *ret_n = n;
    return 0;
}
