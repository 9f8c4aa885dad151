/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* collect.c - reading the guest's figures.
 *
 * The files stay open: a guest that thrashes may wait for a dentry or a page of the file system before it can open one. */
#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* Holds /proc/vmstat (5 KiB in Linux 6.1, more with each version). Too small: the counters at its end are left out; too
 * large: nothing, only what is touched is resident. */
#define TEXT_MAX_BYTES 32768U

static int open_file(const char *proc, const char *name) {
    char path[256];
    int n = snprintf(path, sizeof(path), "%s/%s", proc, name);
    if (n < 0 || (size_t) n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

int mag_collector_open(struct mag_collector *c, const char *proc, struct ma_err *err) {
    long page = sysconf(_SC_PAGESIZE);
    *c = (struct mag_collector){.page_bytes = page > 0 ? (uint64_t) page : 4096};
    c->meminfo_fd = open_file(proc, "meminfo");
    if (c->meminfo_fd < 0) {
        return ma_err_set(err, c->meminfo_fd, "cannot open %s/meminfo: %s (is /proc mounted?)",
                          proc, strerror(-c->meminfo_fd));
    }
    c->vmstat_fd = open_file(proc, "vmstat");
    c->pressure_fd = open_file(proc, "pressure/memory");
    return 0;
}

void mag_collector_close(struct mag_collector *c) {
    ma_cleanup_close(&c->meminfo_fd);
    ma_cleanup_close(&c->vmstat_fd);
    ma_cleanup_close(&c->pressure_fd);
}

/* The whole file, cut at size; 0 when it cannot be read. */
static size_t read_all(int fd, char *buf, size_t size) {
    size_t used = 0;
    while (fd >= 0 && used < size) {
        ssize_t n = pread(fd, buf + used, size - used, (off_t) used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        used += (size_t) n;
    }
    return used;
}

void mag_collector_read(const struct mag_collector *c, struct mag_report *ret) {
    static char text[TEXT_MAX_BYTES]; /* one thread, and 32 KiB are no business of the stack's */
    struct mag_report figures = {.has = 0};
    mag_collect_meminfo(text, read_all(c->meminfo_fd, text, sizeof(text)), &figures);
    mag_collect_vmstat(text, read_all(c->vmstat_fd, text, sizeof(text)), c->page_bytes, &figures);
    mag_collect_pressure(text, read_all(c->pressure_fd, text, sizeof(text)), &figures);
    *ret = figures;
}
