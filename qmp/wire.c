/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wire.c - framing.
 *
 * QEMU 7.2 ends each object with CR LF and puts one object on a line, so a line is the unit: split first, parse once.
 * (A streaming JSON parser that starts again with every read is quadratic in the length of a line.)
 *
 * Most answers arrive whole in one read. They are handled where they were read to, and a client at rest holds no input
 * buffer at all; one is grown only for a line that is cut by the end of a read, and freed with it. Its size is bounded,
 * and a line that outgrows the bound is the peer's fault and its connection's end.
 *
 * Output is one flat buffer inside the client. A command is formatted straight into it and sent from it, so that sending
 * allocates nothing. What the socket did not take stays at the front. */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* First size of the input buffer. Smaller: more reallocations for a long line; larger: waste for a short one. Guess. */
#define LINES_FIRST_BYTES 1024U

void qmp_lines_init(struct qmp_lines *lines, size_t line_max_bytes) {
    *lines = (struct qmp_lines){.line_max_bytes = line_max_bytes};
}

void qmp_lines_fini(struct qmp_lines *lines) {
    free(lines->buf);
    qmp_lines_init(lines, lines->line_max_bytes);
}

/* Room for `more` bytes and a terminating 0. */
static int reserve(struct qmp_lines *lines, size_t more) {
    size_t need = lines->used + more + 1;
    if (lines->used + more > lines->line_max_bytes) {
        return -EMSGSIZE;
    }
    if (need <= lines->capacity) {
        return 0;
    }
    size_t capacity = lines->capacity > 0 ? lines->capacity : LINES_FIRST_BYTES;
    while (capacity < need) {
        capacity *= 2;
    }
    char *buf = realloc(lines->buf, capacity);
    if (buf == NULL) {
        return -ENOMEM;
    }
    lines->buf = buf;
    lines->capacity = capacity;
    return 0;
}

static int append(struct qmp_lines *lines, const char *data, size_t length) {
    int r = reserve(lines, length);
    if (r == 0) {
        memcpy(lines->buf + lines->used, data, length);
        lines->used += length;
    }
    return r;
}

static bool emit(char *line, size_t length, qmp_line_fn fn, void *userdata) {
    if (length > 0 && line[length - 1] == '\r') {
        length--;
    }
    line[length] = '\0';
    return fn(userdata, line, length);
}

/* One line that ends at data[length], which holds the newline. */
static int
take_line(struct qmp_lines *lines, char *data, size_t length, qmp_line_fn fn, void *userdata) {
    if (lines->used == 0) {
        if (length > lines->line_max_bytes) {
            return -EMSGSIZE;
        }
        return emit(data, length, fn, userdata) ? 0 : -ECANCELED;
    }
    int r = append(lines, data, length);
    if (r < 0) {
        return r;
    }
    size_t used = lines->used;
    lines->used = 0;
    return emit(lines->buf, used, fn, userdata) ? 0 : -ECANCELED;
}

int qmp_lines_feed(
    struct qmp_lines *lines, char *data, size_t length, qmp_line_fn fn, void *userdata) {
    while (length > 0) {
        char *newline = memchr(data, '\n', length);
        if (newline == NULL) {
            return append(lines, data, length);
        }
        size_t n = (size_t) (newline - data);
        int r = take_line(lines, data, n, fn, userdata);
        if (r < 0) {
            return r;
        }
        data += n + 1;
        length -= n + 1;
    }
    if (lines->used == 0) {
        qmp_lines_fini(lines);
    }
    return 0;
}

void qmp_out_reset(struct qmp_out *out) {
    out->sent_total = 0;
    out->used = 0;
}

int qmp_out_flush(struct qmp_out *out, int fd) {
    ssize_t n = send(fd, out->buf, out->used, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    out->used -= (size_t) n;
    out->sent_total += (uint64_t) n;
    if (out->used > 0) {
        memmove(out->buf, out->buf + n, out->used);
    }
    return 0;
}

void qmp_out_withdraw(struct qmp_out *out, uint64_t position, size_t length) {
    size_t start = (size_t) (position - out->sent_total);
    memmove(out->buf + start, out->buf + start + length, out->used - start - length);
    out->used -= length;
}
