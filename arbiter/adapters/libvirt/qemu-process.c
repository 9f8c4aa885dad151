/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-process.c - pid file and command line, both bounded; see the header. */

#include "qemu-process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "cleanup.h"
#include "snapshot.h"

/* A QEMU with hundreds of devices has some 60 KiB of arguments. */
#define CMDLINE_MAX_BYTES ((size_t) 256 * 1024)
#define PID_MAX           UINT64_C(4194304)

/* Bytes read, NUL-terminated; 0: unreadable. */
static size_t read_all(const char *path, char *buf, size_t size) {
    ma_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t n = 0;
    while (fd >= 0 && n + 1 < size) {
        ssize_t r = read(fd, buf + n, size - 1 - n);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            break;
        }
        n += (size_t) r;
    }
    buf[n] = '\0';
    return n;
}

static pid_t read_pid_file(const char *run_dir, const char *name) {
    char path[4096];
    char text[32];
    uint64_t pid;
    if (strchr(name, '/') != NULL ||
        snprintf(path, sizeof(path), "%s/%s.pid", run_dir, name) >= (int) sizeof(path) ||
        read_all(path, text, sizeof(text)) == 0) {
        return 0;
    }
    text[strcspn(text, "\n")] = '\0';
    if (ma_parse_u64(text, PID_MAX, &pid) < 0 || pid < 2) {
        return 0;
    }
    return (pid_t) pid;
}

static uint32_t inhibitors_of_argument(const char *argument) {
    uint32_t bits = 0;
    bits |= strstr(argument, "vfio-pci") != NULL ? MA_INHIBITOR_VFIO : 0U;
    bits |= strstr(argument, "vhost-vdpa") != NULL ? MA_INHIBITOR_VDPA : 0U;
    bits |= strstr(argument, "mem-lock=on") != NULL ? MA_INHIBITOR_LOCKED : 0U;
    return bits;
}

/* The arguments stand one behind the other, each with its NUL. */
static bool scan(const char *cmdline, size_t size, const char *uuid, uint32_t *ret_inhibited_by) {
    bool is_found = false;
    bool was_uuid = false;
    uint32_t bits = 0;
    for (const char *a = cmdline; a < cmdline + size; a += strlen(a) + 1) {
        is_found = is_found || (was_uuid && strcasecmp(a, uuid) == 0);
        was_uuid = strcmp(a, "-uuid") == 0;
        bits |= inhibitors_of_argument(a);
    }
    if (is_found) {
        *ret_inhibited_by = bits;
    }
    return is_found;
}

pid_t lv_qemu_pid(const char *run_dir,
                  const char *name,
                  const char *uuid,
                  uint32_t *ret_inhibited_by) {
    char path[64];
    *ret_inhibited_by = 0;
    pid_t pid = read_pid_file(run_dir, name);
    if (pid == 0) {
        return 0;
    }
    ma_auto_free char *cmdline = malloc(CMDLINE_MAX_BYTES);
    if (cmdline == NULL) {
        return 0;
    }
    (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
    size_t size = read_all(path, cmdline, CMDLINE_MAX_BYTES);
    return scan(cmdline, size, uuid, ret_inhibited_by) ? pid : 0;
}
