/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* port.h - the guest's end of the channel: found, opened, read and written without ever waiting for the host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "protocol.h"

struct mag_port {
    int fd; /* -1: closed. Poll it edge-triggered: with no host it is readable and hung up all the time. Owned. */
    bool is_host_there;
    struct mag_lines in;
    /* What of a line could not be written at once: it must go out before another begins. */
    size_t unsent_at, unsent;
    char out[MAG_LINE_MAX];
};

/* path: a device, or NULL to look for MAG_PORT_NAME in /dev/virtio-ports and /sys/class/virtio-ports.
 * -errno and a message: none, no right to open it, or another program has it (EBUSY). */
int mag_port_open(struct mag_port *port, const char *path, struct ma_err *err);
void mag_port_close(struct mag_port *port);

enum mag_port_state {
    MAG_PORT_READ_ALL, /* nothing more to read now; the host's side is open */
    MAG_PORT_MORE,     /* this is enough for once: come back */
    MAG_PORT_NO_HOST,  /* nobody has the host's side open */
    MAG_PORT_LOST      /* unplugged or broken: close it */
};
/* Reads a bounded piece and hands out its lines. */
enum mag_port_state mag_port_read(struct mag_port *port, mag_line_fn fn, void *userdata);

/* One line, whole or not at all: 1 gone (or its rest kept for mag_port_flush), 0 the host does not read at present,
 * -errno broken. */
int mag_port_write(struct mag_port *port, const char *line, size_t length);
/* The rest of a line: 1 nothing is left, 0 the host does not read, -errno broken. */
int mag_port_flush(struct mag_port *port);
