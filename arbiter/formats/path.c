/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* path.c - the JSON path of what is being read, and messages that carry it. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats-internal.h"

void formats_path_push_key(struct formats_path *path, const char *key) {
    assert(path->n < FORMATS_PATH_FRAMES); /* the tables' own depth, whatever the text says */
    path->frames[path->n].key = key;
    path->n++;
}

void formats_path_push_index(struct formats_path *path, size_t index) {
    assert(path->n < FORMATS_PATH_FRAMES);
    path->frames[path->n].key = NULL;
    path->frames[path->n].index = index;
    path->n++;
}

void formats_path_pop(struct formats_path *path) {
    path->n--;
}

/* Appends to a text of `size` bytes; what does not fit is cut. */
static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...) {
    size_t len = strnlen(text, size - 1);
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(text + len, size - len, format, ap);
    va_end(ap);
}

int formats_fail(struct formats_reader *reader, int code, const char *format, ...) {
    char text[MA_ERR_MESSAGE_MAX] = "$";
    for (size_t i = 0; i < reader->path.n; i++) {
        if (reader->path.frames[i].key != NULL) {
            append(text, sizeof(text), ".%.64s", reader->path.frames[i].key);
        } else {
            append(text, sizeof(text), "[%zu]", reader->path.frames[i].index);
        }
    }
    append(text, sizeof(text), ": ");
    size_t len = strnlen(text, sizeof(text) - 1);
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(text + len, sizeof(text) - len, format, ap);
    va_end(ap);
    for (char *p = text; *p != '\0'; p++) {
        *p = (unsigned char) *p < 0x20 || *p == 0x7f ? '?' : *p; /* foreign keys reach a terminal */
    }
    return ma_err_set(reader->err, code, "%s", text);
}
