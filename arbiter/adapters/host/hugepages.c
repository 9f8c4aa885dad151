/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hugepages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "host-nodes.h"
#include "ktext.h"

/* hugepages-2048kB and so on: those that any architecture of Linux 6.1 has. */
static const uint32_t sizes_kib[] = {64, 1024, 2048, 16384, 32768, 524288, 1048576, 16777216};

struct pools {
    struct ma_admit_pool *items;
    size_t n, capacity;
};

static bool read_count(int dir_fd, const char *folder, const char *name, uint64_t *ret) {
    char path[160];
    char text[32];
    const char *at = text;
    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    return ma_ktext_read_at(dir_fd, path, text, sizeof(text)) > 0 && ma_ktext_u64(&at, ret);
}

static int add(struct pools *pools, const struct ma_admit_pool *pool) {
    if (pools->n == pools->capacity) {
        return -ENOBUFS;
    }
    pools->items[pools->n++] = *pool;
    return 0;
}

static uint64_t bytes_of(uint64_t pages, uint64_t page_bytes) {
    return ma_min_u64(ma_mul_sat(pages, page_bytes), MA_BYTES_MAX);
}

static int add_node(int sys_fd, uint16_t id, struct pools *pools) {
    for (size_t i = 0; i < sizeof(sizes_kib) / sizeof(sizes_kib[0]); i++) {
        char folder[96];
        uint64_t n = 0;
        uint64_t page_bytes = sizes_kib[i] * MA_KIB;
        (void) snprintf(folder, sizeof(folder),
                        "devices/system/node/node%u/hugepages/hugepages-%ukB", (unsigned) id,
                        sizes_kib[i]);
        struct ma_admit_pool pool = {.node = id, .page_bytes = page_bytes};
        if (!read_count(sys_fd, folder, "free_hugepages", &n)) {
            continue;
        }
        pool.free_bytes = bytes_of(n, page_bytes);
        int r = add(pools, &pool);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Without NUMA the system's own figures are the only pool, and stand for node 0. */
static int add_system(int sys_fd, bool has_nodes, struct pools *pools) {
    for (size_t i = 0; i < sizeof(sizes_kib) / sizeof(sizes_kib[0]); i++) {
        char folder[96];
        uint64_t n_free = 0;
        uint64_t n_reserved = 0;
        uint64_t n_allowed = 0;
        uint64_t n_surplus = 0;
        uint64_t page_bytes = sizes_kib[i] * MA_KIB;
        (void) snprintf(folder, sizeof(folder), "kernel/mm/hugepages/hugepages-%ukB", sizes_kib[i]);
        if (!read_count(sys_fd, folder, "free_hugepages", &n_free)) {
            continue;
        }
        (void) read_count(sys_fd, folder, "resv_hugepages", &n_reserved);
        (void) read_count(sys_fd, folder, "nr_overcommit_hugepages", &n_allowed);
        (void) read_count(sys_fd, folder, "surplus_hugepages", &n_surplus);
        uint64_t extra = bytes_of(ma_sub_floor0(n_allowed, n_surplus), page_bytes);
        struct ma_admit_pool pool = {.node = MA_ADMIT_POOL_ANYWHERE,
                                     .page_bytes = page_bytes,
                                     .free_bytes = extra,
                                     .owned_bytes = bytes_of(n_reserved, page_bytes)};
        struct ma_admit_pool alone = {.page_bytes = page_bytes,
                                      .free_bytes = bytes_of(n_free, page_bytes)};
        int r = has_nodes ? 0 : add(pools, &alone);
        r = r < 0 ? r : add(pools, &pool);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int ma_hugepages_read(const char *sys_root,
                      struct ma_admit_pool *ret,
                      size_t capacity,
                      size_t *ret_n) {
    struct pools pools = {.items = ret, .capacity = capacity};
    uint16_t ids[MA_HOST_NODES_MAX];
    char list[512];
    ma_auto_close int sys = open(sys_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    int n = 0;
    if (sys < 0) {
        return -errno;
    }
    if (ma_ktext_read_at(sys, "devices/system/node/has_memory", list, sizeof(list)) > 0 ||
        ma_ktext_read_at(sys, "devices/system/node/online", list, sizeof(list)) > 0) {
        n = ma_node_list_parse(list, ids, MA_HOST_NODES_MAX);
    }
    for (int i = 0; i < n; i++) {
        int r = add_node(sys, ids[i], &pools);
        if (r < 0) {
            return r;
        }
    }
    int r = add_system(sys, n > 0, &pools);
    if (r == 0 && pools.n == 0) {
        r = -ENOENT;
    }
    if (r == 0) {
        *ret_n = pools.n;
    }
    return r;
}

static int take_default(void *userdata, const char *line) {
    const char *text = ma_ktext_field(line, "Hugepagesize");
    return text != NULL && ma_ktext_kib(text, userdata) ? 1 : 0;
}

uint64_t ma_hugepages_default_bytes(const char *proc_root) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    uint64_t bytes = 0;
    ma_auto_close int proc = open(proc_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    ma_auto_close int fd = openat(proc, "meminfo", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void) ma_ktext_each_line(fd, '\n', buf, take_default, &bytes);
    }
    return bytes;
}

bool ma_host_is_commit_enforced(const char *proc_root) {
    char text[16];
    ma_auto_close int proc = open(proc_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    return ma_ktext_read_at(proc, "sys/vm/overcommit_memory", text, sizeof(text)) > 0 &&
           text[0] == '2';
}
