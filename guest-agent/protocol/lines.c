/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lines.c - a stream cut into lines, in a buffer of fixed size.
 *
 * A line that lies whole in the data is handed out from there; only a line cut by the end of a read is kept. A line that
 * outgrows the buffer is dropped up to its newline, so that a flood without newlines costs a memchr and no memory. */
#include <string.h>

#include "protocol.h"

/* What is kept of a line, without its newline. */
#define KEPT_MAX (MAG_LINE_MAX - 1)

/* Adds to the line in the buffer, or gives it up. */
static void keep(struct mag_lines *lines, const char *data, size_t length, uint64_t *dropped) {
    if (lines->is_dropping) {
        return;
    }
    if (length > KEPT_MAX - lines->used) {
        lines->is_dropping = true;
        lines->used = 0;
        *dropped = ma_add_sat(*dropped, 1);
        return;
    }
    memcpy(lines->buf + lines->used, data, length);
    lines->used += length;
}

/* The line that ends at data[length]. */
static bool end_line(struct mag_lines *lines,
                     const char *data,
                     size_t length,
                     mag_line_fn fn,
                     void *userdata,
                     uint64_t *dropped) {
    if (lines->used == 0 && !lines->is_dropping && length <= KEPT_MAX) {
        return length == 0 || fn(userdata, data, length);
    }
    keep(lines, data, length, dropped);
    size_t used = lines->used;
    bool is_whole = !lines->is_dropping;
    lines->used = 0;
    lines->is_dropping = false;
    return !is_whole || fn(userdata, lines->buf, used);
}

size_t mag_lines_feed(struct mag_lines *lines,
                      const char *data,
                      size_t length,
                      mag_line_fn fn,
                      void *userdata,
                      uint64_t *dropped) {
    size_t at = 0;
    while (at < length) {
        const char *newline = memchr(data + at, '\n', length - at);
        if (newline == NULL) {
            keep(lines, data + at, length - at, dropped);
            return length;
        }
        const char *line = data + at;
        at = (size_t) (newline - data) + 1;
        if (!end_line(lines, line, (size_t) (newline - line), fn, userdata, dropped)) {
            return at;
        }
    }
    return at;
}
