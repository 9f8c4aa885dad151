/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parse.c - text to a tree, bounded. Size and nesting are looked at before jansson, whose parser recurses and takes
 * memory for what it reads. */
#include "formats-internal.h"

#include <errno.h>
#include <inttypes.h>

#include "formats.h"

/* Where the text first nests deeper than the contract can, as line and column; false: nowhere. */
static bool find_too_deep(const char *text, size_t len, unsigned *ret_line, unsigned *ret_column) {
    unsigned depth = 0;
    unsigned line = 1;
    size_t line_start = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\n') {
            line++;
            line_start = i + 1;
        } else if (in_string) {
            in_string = c != '"';
            i += c == '\\' ? 1 : 0;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MA_FORMATS_DEPTH_MAX) {
                *ret_line = line;
                *ret_column = (unsigned) (i - line_start) + 1;
                return true;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *formats_parse(const char *text, size_t len, struct ma_err *err) {
    unsigned line = 0;
    unsigned column = 0;
    json_error_t error;
    if (len > MA_FORMATS_TEXT_MAX_BYTES) {
        (void) ma_err_set(err, -ERANGE, "text of %zu bytes is larger than the %" PRIu64 " allowed",
                          len, MA_FORMATS_TEXT_MAX_BYTES);
        return NULL;
    }
    if (find_too_deep(text, len, &line, &column)) {
        (void) ma_err_set(err, -EINVAL, "line %u, column %u: nested more than %u deep", line,
                          column, MA_FORMATS_DEPTH_MAX);
        return NULL;
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        int code = json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
        (void) ma_err_set(err, code, "line %d, column %d: %s", error.line, error.column,
                          error.text);
        return NULL;
    }
    return root;
}
