/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* port.c - a virtio-serial port.
 *
 * Facts of Linux's virtio_console (6.1 drivers/char/virtio_console.c) that this file lives with:
 *   - one process at a time has a port open; others get EBUSY;
 *   - without a host's side, read gives 0 and poll says POLLIN and POLLHUP at once, for as long as it lasts. So the loop
 *     polls edge-triggered: opening and closing of the host's side wake the port's wait queue, and so does the host when
 *     it takes a line from a full ring;
 *   - a write that is not O_NONBLOCK spins with interrupts off until the host has taken it. One that is gives EAGAIN when
 *     the ring is full (some 100 lines) or there is no host;
 *   - an unplugged port gives ENODEV, and its open descriptor never comes back. */
#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define UDEV_PATH  "/dev/virtio-ports/" MAG_PORT_NAME
#define SYS_FOLDER "/sys/class/virtio-ports"
#define PATH_BYTES 320U
/* Read at once. Smaller: more calls for a burst; larger: stack. A host says a line or two. */
#define READ_BYTES 2048U

static bool is_our_port(const char *entry) {
    char path[PATH_BYTES], name[sizeof(MAG_PORT_NAME) + 1];
    (void) snprintf(path, sizeof(path), "%s/%s/name", SYS_FOLDER, entry);
    ma_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, name, sizeof(name));
    return n == (ssize_t) sizeof(MAG_PORT_NAME) &&
           memcmp(name, MAG_PORT_NAME "\n", (size_t) n) == 0;
}

/* Where there is no udev: by the names in sysfs. */
static int find_in_sysfs(char *path, size_t size) {
    DIR *dir = opendir(SYS_FOLDER);
    int r = -ENOENT;
    if (dir == NULL) {
        return -errno;
    }
    for (struct dirent *e = readdir(dir); r < 0 && e != NULL; e = readdir(dir)) {
        if (e->d_name[0] != '.' && is_our_port(e->d_name)) {
            (void) snprintf(path, size, "/dev/%s", e->d_name);
            r = 0;
        }
    }
    (void) closedir(dir);
    return r;
}

static int open_device(const char *path) {
    struct stat st;
    ma_auto_close int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISCHR(st.st_mode)) {
        return -ENOTTY;
    }
    int kept = fd;
    fd = -1;
    return kept;
}

static int explain(int code, const char *path, struct ma_err *err) {
    switch (code) {
    case -ENOENT:
        return ma_err_set(
            err, code,
            "there is no %s: the host must give this guest a virtio-serial port of that name",
            path);
    case -EBUSY:
        return ma_err_set(err, code, "another program has %s open", path);
    case -EACCES:
    case -EPERM:
        return ma_err_set(
            err, code, "no right to open %s: run as root, or give it to this user by a udev rule",
            path);
    case -ENOTTY:
        return ma_err_set(err, code, "%s is no character device", path);
    default:
        return ma_err_set(err, code, "cannot open %s: %s", path, strerror(-code));
    }
}

int mag_port_open(struct mag_port *port, const char *path, struct ma_err *err) {
    char found[PATH_BYTES];
    if (path == NULL) {
        path = UDEV_PATH;
        if (access(path, F_OK) < 0 && find_in_sysfs(found, sizeof(found)) == 0) {
            path = found;
        }
    }
    int fd = open_device(path);
    if (fd < 0) {
        return explain(fd, path, err);
    }
    *port = (struct mag_port){.fd = fd};
    return 0;
}

void mag_port_close(struct mag_port *port) {
    ma_cleanup_close(&port->fd);
    port->fd = -1;
    port->is_host_there = false;
}

/* A new host: what was left of the old one's line is nothing. Ours may be cut at its side, so that the next one begins with a
 * newline. */
static void meet_host(struct mag_port *port) {
    port->is_host_there = true;
    port->in.used = 0;
    port->in.is_dropping = false;
    port->out[0] = '\n';
    port->unsent_at = 0;
    port->unsent = 1;
}

enum mag_port_state mag_port_read(struct mag_port *port, mag_line_fn fn, void *userdata) {
    char data[READ_BYTES];
    uint64_t dropped = 0;
    ssize_t n = read(port->fd, data, sizeof(data));
    if (n == 0) {
        port->is_host_there = false;
        return MAG_PORT_NO_HOST;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return MAG_PORT_LOST;
    }
    if (!port->is_host_there) {
        meet_host(port);
    }
    if (n < 0) {
        return errno == EINTR ? MAG_PORT_MORE : MAG_PORT_READ_ALL;
    }
    (void) mag_lines_feed(&port->in, data, (size_t) n, fn, userdata, &dropped);
    return MAG_PORT_MORE;
}

int mag_port_flush(struct mag_port *port) {
    while (port->unsent > 0) {
        ssize_t n = write(port->fd, port->out + port->unsent_at, port->unsent);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 || errno == EAGAIN ? 0 : -errno;
        }
        port->unsent_at += (size_t) n;
        port->unsent -= (size_t) n;
    }
    return 1;
}

int mag_port_write(struct mag_port *port, const char *line, size_t length) {
    int r = mag_port_flush(port);
    if (r <= 0) {
        return r;
    }
    memcpy(port->out, line, length);
    port->unsent_at = 0;
    port->unsent = length;
    r = mag_port_flush(port);
    if (r == 0 && port->unsent == length) {
        port->unsent = 0; /* nothing of it is under way: the newest may take its place */
    }
    return r == 0 && port->unsent > 0 ? 1 : r;
}
