/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mapped-file.c - see the header. The kernel keeps the pages of a tmpfs file when the process goes. */
#include "mapped-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cleanup.h"

static int open_file(const char *path, size_t size, int *ret_fd) {
    struct stat st;
    ma_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    if (st.st_size != 0 && st.st_size != (off_t) size) {
        return -EBADMSG;
    }
    if (st.st_size == 0 && posix_fallocate(fd, 0, (off_t) size) != 0) {
        return -ENOSPC; /* now, not as SIGBUS at the first store */
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int
map_file(const char *path, size_t size, const uint64_t *head, size_t n_head, void **ret) {
    ma_auto_close int fd = -1;
    int r = open_file(path, size, &fd);
    if (r < 0) {
        return r;
    }
    uint64_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    if (map[0] == 0) {
        memcpy(map + 1, head + 1, (n_head - 1) * sizeof(*head));
        atomic_signal_fence(memory_order_seq_cst);
        map[0] = head[0];
    }
    if (memcmp(map, head, n_head * sizeof(*head)) != 0) {
        (void) munmap(map, size);
        return -EBADMSG;
    }
    *ret = map;
    return 0;
}

static int set_aside(const char *path) {
    char aside[4096];
    int n = snprintf(aside, sizeof(aside), "%s.bad", path);
    if (n < 0 || (size_t) n >= sizeof(aside)) {
        return -ENAMETOOLONG;
    }
    return rename(path, aside) < 0 ? -errno : 0;
}

int ma_mapped_file_open(
    const char *path, size_t size, const uint64_t *head, size_t n_head, void **ret) {
    int r = map_file(path, size, head, n_head, ret);
    if (r == -EBADMSG) {
        r = set_aside(path);
        r = r == 0 ? map_file(path, size, head, n_head, ret) : r;
    }
    return r;
}
