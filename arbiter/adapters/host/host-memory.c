/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host-memory.c - the machine's figures from files that stay open.
 *
 * Trust: the kernel's. Still bounded: a value above MA_BYTES_MAX or a cut line leaves its bit clear, and a sample
 * without total or available is an error, never a 0 that would look like a shortage.
 * ZFS's ARC is neither free nor page cache to the kernel, but shrinks under pressure down to c_min: what is above
 * counts as available (OpenZFS 2.1 module/zfs/arc.c). Rejected: counting it free from c downward; c moves. */
#include "host-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "psi.h"

static int open_at(int root_fd, const char *name) {
    int fd = openat(root_fd, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fd;
}

int ma_host_memory_open(struct ma_host_memory *m, const char *proc_root, struct ma_err *err) {
    m->meminfo_fd = m->arcstats_fd = m->vmstat_fd = m->psi_fd = -1;
    ma_auto_close int root = open(proc_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (root < 0) {
        return ma_err_set(err, -errno, "cannot open %s: %s", proc_root, strerror(errno));
    }
    m->meminfo_fd = open_at(root, "meminfo");
    if (m->meminfo_fd < 0) {
        return ma_err_set(err, -errno, "cannot open %s/meminfo: %s", proc_root, strerror(errno));
    }
    m->arcstats_fd = open_at(root, "spl/kstat/zfs/arcstats");
    m->vmstat_fd = open_at(root, "vmstat");
    m->psi_fd = open_at(root, "pressure/memory");
    return 0;
}

static void close_fd(int *fd) {
    ma_cleanup_close(fd);
    *fd = -1;
}

void ma_host_memory_close(struct ma_host_memory *m) {
    close_fd(&m->meminfo_fd);
    close_fd(&m->arcstats_fd);
    close_fd(&m->vmstat_fd);
    close_fd(&m->psi_fd);
}

static int check_meminfo(const struct ma_meminfo *info, struct ma_err *err) {
    if ((info->has & MA_MEMINFO_HAS_TOTAL) == 0 || info->total_bytes == 0) {
        return ma_err_set(err, -ENODATA, "meminfo has no usable MemTotal");
    }
    if ((info->has & MA_MEMINFO_HAS_AVAILABLE) == 0) {
        return ma_err_set(err, -ENODATA, "meminfo has no usable MemAvailable");
    }
    if (info->available_bytes > info->total_bytes) {
        return ma_err_set(err, -ERANGE, "meminfo: MemAvailable exceeds MemTotal");
    }
    return 0;
}

int ma_host_memory_read(struct ma_host_memory *m, struct ma_meminfo *ret, struct ma_err *err) {
    struct ma_meminfo info = {.has = 0};
    int r = ma_ktext_each_line(m->meminfo_fd, '\n', m->buf, ma_meminfo_parse_line, &info);
    if (r < 0) {
        return ma_err_set(err, r, "cannot read meminfo: %s", strerror(-r));
    }
    r = check_meminfo(&info, err);
    if (r < 0) {
        return r;
    }
    if (m->arcstats_fd >= 0) {
        /* The module may be gone again: then there is no cache to count, which is the careful answer. */
        (void) ma_ktext_each_line(m->arcstats_fd, '\n', m->buf, ma_arcstats_parse_line, &info);
    }
    *ret = info;
    return 0;
}

int ma_host_memory_read_psi(struct ma_host_memory *m, struct ma_psi *ret, struct ma_err *err) {
    if (m->psi_fd < 0) {
        return ma_err_set(err, -EOPNOTSUPP, "no pressure/memory: kernel without PSI (psi=1)");
    }
    int r = ma_ktext_read_fd(m->psi_fd, m->buf, sizeof(m->buf));
    if (r < 0) {
        return ma_err_set(err, r, "cannot read pressure/memory: %s", strerror(-r));
    }
    r = ma_psi_parse(m->buf, ret);
    return r < 0 ? ma_err_set(err, r, "pressure/memory cannot be understood") : 0;
}

int ma_host_memory_read_vmstat(struct ma_host_memory *m,
                               struct ma_vmstat *ret,
                               struct ma_err *err) {
    struct ma_vmstat s = {.has = 0};
    int r = ma_ktext_each_line(m->vmstat_fd, '\n', m->buf, ma_vmstat_parse_line, &s);
    if (r < 0) {
        return ma_err_set(err, r, "cannot read vmstat: %s", strerror(-r));
    }
    *ret = s;
    return 0;
}
