/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process-devices.c - what a QEMU's open descriptors prove: devices plugged in since it was started are seen, too.
 *
 * getdents64 into a buffer on the stack: opendir would allocate. Read when a guest is met, on a device event and now
 * and then; not each tick. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "process.h"
#include "snapshot.h"

uint32_t ma_process_device_inhibitor(const char *link) {
    static const struct {
        const char *prefix;
        uint32_t bit;
    } links[] = {
        {"/dev/vfio/", MA_INHIBITOR_VFIO},
        {"anon_inode:[vfio",
         MA_INHIBITOR_VFIO}, /* the device itself; the group may be handed over */
        {"anon_inode:[iommufd", MA_INHIBITOR_VFIO},
        {"/dev/iommu", MA_INHIBITOR_VFIO},
        {"/dev/vhost-vdpa", MA_INHIBITOR_VDPA},
        {"/dev/sev", MA_INHIBITOR_CONFIDENTIAL},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (strncmp(link, links[i].prefix, strlen(links[i].prefix)) == 0) {
            return links[i].bit;
        }
    }
    return 0;
}

static bool begins(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void look_at(int dir_fd, const char *name, struct ma_process_devices *found) {
    char link[64];
    ssize_t n = name[0] == '.' ? 0 : readlinkat(dir_fd, name, link, sizeof(link) - 1);
    if (n <= 0) {
        return; /* "." and "..", or closed in between */
    }
    link[n] = '\0';
    found->inhibited_by |= ma_process_device_inhibitor(link);
    found->n_vfio += begins(link, "anon_inode:[vfio-device") ? 1U : 0U;
    found->n_vdpa += begins(link, "/dev/vhost-vdpa") ? 1U : 0U;
}

int ma_process_read_devices(const struct ma_process *p,
                            struct ma_process_devices *ret,
                            struct ma_err *err) {
    char buf[2048] __attribute__((aligned(8)));
    struct ma_process_devices found = {.inhibited_by = 0};
    unsigned seen = 0;
    ma_auto_close int dir = openat(p->dir_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n = dir < 0 ? -1 : 0;
    while (dir >= 0 && seen <= MA_PROCESS_FDS_MAX && (n = getdents64(dir, buf, sizeof(buf))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *) (const void *) (buf + at);
            at += e->d_reclen;
            seen++;
            look_at(dir, e->d_name, &found);
        }
    }
    if (n < 0) {
        int code = errno == ENOENT ? -ESRCH : -errno;
        return ma_err_set(err, code, "process %d: cannot list its descriptors: %s", p->pid,
                          strerror(-code));
    }
    found.is_cut = n > 0;
    *ret = found;
    return 0;
}
