/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-read.c - a group's memory figures through its held directory. Each figure that is missing leaves its bit
 * clear (v1, an older kernel, no swap); only usage is indispensable. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cgroup-parse.h"
#include "cleanup.h"
#include "ktext.h"
#include "psi.h"

static bool is_v2(const struct ma_cgroup *cg) {
    return cg->layout == MA_CGROUP_V2;
}

int ma_cgroup_read_current(const struct ma_cgroup *cg, uint64_t *ret_bytes, struct ma_err *err) {
    char text[32];
    const char *name = is_v2(cg) ? "memory.current" : "memory.usage_in_bytes";
    int r = ma_ktext_read_at(cg->dir_fd, name, text, sizeof(text));
    uint64_t bytes = 0;
    if (r >= 0 && (!ma_ktext_bytes(text, &bytes) || bytes > MA_BYTES_MAX)) {
        r = -EINVAL;
    }
    if (r < 0) {
        r = r == -ENOENT ? -ENODEV : r; /* the group was removed */
        return ma_err_set(err, r, "cgroup %s: cannot read %s: %s", cg->path, name, strerror(-r));
    }
    *ret_bytes = bytes;
    return 0;
}

static uint32_t
read_value(const struct ma_cgroup *cg, const char *name, uint32_t bit, uint64_t *to) {
    char text[32];
    return ma_ktext_read_at(cg->dir_fd, name, text, sizeof(text)) > 0 && ma_ktext_bytes(text, to)
               ? bit
               : 0;
}

/* v1 writes "no limit" as a number of its own (PAGE_COUNTER_MAX in bytes), above any host. */
static uint32_t read_v1_limit(const struct ma_cgroup *cg, uint64_t *to) {
    char text[32];
    const char *p = text;
    uint64_t v;
    if (ma_ktext_read_at(cg->dir_fd, "memory.limit_in_bytes", text, sizeof(text)) <= 0 ||
        !ma_ktext_u64(&p, &v)) {
        return 0;
    }
    *to = v > MA_BYTES_MAX ? MA_CGROUP_UNLIMITED : v;
    return MA_CGROUP_HAS_MAX;
}

static int
read_lines(const struct ma_cgroup *cg, const char *name, ma_ktext_line_fn fn, void *userdata) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    ma_auto_close int fd = openat(cg->dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    return ma_ktext_each_line(fd, '\n', buf, fn, userdata);
}

static void read_pressure(const struct ma_cgroup *cg, struct ma_psi *ret) {
    char text[512];
    if (ma_ktext_read_at(cg->dir_fd, "memory.pressure", text, sizeof(text)) > 0) {
        (void) ma_psi_parse(text, ret); /* not understood: no bits, as without the file */
    }
}

static void read_v2(const struct ma_cgroup *cg, struct ma_cgroup_sample *s) {
    s->has |= read_value(cg, "memory.max", MA_CGROUP_HAS_MAX, &s->max_bytes);
    s->has |= read_value(cg, "memory.high", MA_CGROUP_HAS_HIGH, &s->high_bytes);
    s->has |=
        read_value(cg, "memory.swap.current", MA_CGROUP_HAS_SWAP_CURRENT, &s->swap_current_bytes);
    s->has |= read_value(cg, "memory.swap.max", MA_CGROUP_HAS_SWAP_MAX, &s->swap_max_bytes);
    /* Absent in an older kernel: their bits stay clear. */
    (void) read_lines(cg, "memory.stat", ma_cgroup_stat_parse_line, s);
    (void) read_lines(cg, "memory.events", ma_cgroup_events_parse_line, s);
    read_pressure(cg, &s->pressure);
}

int ma_cgroup_read(const struct ma_cgroup *cg, struct ma_cgroup_sample *ret, struct ma_err *err) {
    struct ma_cgroup_sample s = {.has = MA_CGROUP_HAS_CURRENT};
    int r = ma_cgroup_read_current(cg, &s.current_bytes, err);
    if (r < 0) {
        return r;
    }
    if (is_v2(cg)) {
        read_v2(cg, &s);
    } else {
        s.has |= read_v1_limit(cg, &s.max_bytes);
        (void) read_lines(cg, "memory.stat", ma_cgroup_v1_stat_parse_line, &s);
    }
    *ret = s;
    return 0;
}

int ma_cgroup_read_events(const struct ma_cgroup *cg, struct ma_cgroup_sample *ret) {
    if (!is_v2(cg)) {
        return -EOPNOTSUPP;
    }
    int r = read_lines(cg, "memory.events", ma_cgroup_events_parse_line, ret);
    return r == -ENOENT ? -ENODEV : r;
}

int ma_cgroup_read_nodes(const struct ma_cgroup *cg,
                         struct ma_guest_node *ret_nodes,
                         size_t capacity,
                         size_t *ret_n,
                         struct ma_err *err) {
    struct ma_cgroup_numa numa = {.nodes = ret_nodes, .capacity = capacity};
    if (!is_v2(cg)) {
        return ma_err_set(err, -EOPNOTSUPP,
                          "cgroup %s: pages per node are known with cgroup v2 only (%s here)",
                          cg->path, ma_cgroup_layout_name(cg->layout));
    }
    int r = read_lines(cg, "memory.numa_stat", ma_cgroup_numa_parse_line, &numa);
    if (r < 0) {
        return ma_err_set(err, r, "cgroup %s: cannot read memory.numa_stat: %s", cg->path,
                          strerror(-r));
    }
    *ret_n = numa.n;
    return 0;
}
