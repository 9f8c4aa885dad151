/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* wire.h - bytes to lines, and the queue of what is to be sent. Internal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Input that is no whole line yet. Empty: no memory held. */
struct qmp_lines {
    char *buf; /* owned */
    size_t used, capacity;
    size_t line_max_bytes;
};
/* line[length] is 0; the line may be changed in place. false: stop, drop the rest. */
typedef bool (*qmp_line_fn)(void *userdata, char *line, size_t length);

void qmp_lines_init(struct qmp_lines *lines, size_t line_max_bytes);
void qmp_lines_fini(struct qmp_lines *lines); /* as after init; frees */
/* Calls fn for each line in data (which it overwrites); keeps the rest. 0, -EMSGSIZE: a line is longer than
 * line_max_bytes, -ENOMEM, -ECANCELED: fn said stop. */
int qmp_lines_feed(
    struct qmp_lines *lines, char *data, size_t length, qmp_line_fn fn, void *userdata);

/* Room for the longest command (QMP_EXECUTE_MAX), or some eight of the usual 100-190 bytes. What is here is what the socket did
 * not take, and a socket takes all that may be unanswered unless somebody shrank it. Too small: -ENOBUFS in a burst; too
 * large: memory for each of thousands of clients at rest. Lengths measured, the sum is a choice. */
#define QMP_OUT_MAX_BYTES 1536U

/* Positions count the bytes of a connection: sent_total is that of buf[0]. */
struct qmp_out {
    uint64_t sent_total;
    size_t used;
    char buf[QMP_OUT_MAX_BYTES];
};
void qmp_out_reset(struct qmp_out *out);
/* One send(2). 0: all gone, or the socket is full; else -errno of send. */
int qmp_out_flush(struct qmp_out *out, int fd);
/* Takes unsent bytes back: position >= sent_total, wholly inside the queue. */
void qmp_out_withdraw(struct qmp_out *out, uint64_t position, size_t length);
