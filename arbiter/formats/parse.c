/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parse.c - text to a tree, bounded. Size and nesting are looked at before jansson, whose parser recurses and takes
 * memory for what it reads. */
#include "formats-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "formats.h"

#define STRING(x)       #x
#define VALUE_STRING(x) STRING(x)

/* Where the text first nests deeper than the contract can, or has a NUL byte, which jansson passes over behind a number;
 * as line and column. NULL: nowhere, else what is wrong. */
static const char *
find_unfit(const char *text, size_t len, unsigned *ret_line, unsigned *ret_column) {
    unsigned depth = 0;
    unsigned line = 1;
    size_t line_start = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        *ret_line = line;
        *ret_column = (unsigned) (i - line_start) + 1;
        if (c == '\0') {
            return "a NUL byte";
        }
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
                return "nested more than " VALUE_STRING(MA_FORMATS_DEPTH_MAX) " deep";
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return NULL;
}

/* Pushes the way to the first number beyond `most`, of either sign.
 * NOLINTNEXTLINE(misc-no-recursion): find_unfit() has bounded how deep the text nests */
static bool push_way_to_huge(struct formats_path *path, const json_t *value, double most) {
    const char *key;
    json_t *member;
    bool is_found = false;
    if (json_is_real(value)) {
        return fabs(json_real_value(value)) > most;
    }
    for (size_t i = 0; i < json_array_size(value) && !is_found; i++) {
        formats_path_push_index(path, i);
        is_found = push_way_to_huge(path, json_array_get(value, i), most);
        if (!is_found) {
            formats_path_pop(path);
        }
    }
    json_object_foreach((json_t *) (uintptr_t) value, key, member) {
        formats_path_push_key(path, key);
        if (push_way_to_huge(path, member, most)) {
            return true;
        }
        formats_path_pop(path);
    }
    return is_found;
}

/* jansson says of a whole number beyond 64 bits where in the text it stands, and not what it is of. */
static bool tell_huge(const char *text, size_t len, struct ma_err *err) {
    struct formats_reader reader = {.err = err};
    formats_auto_json json_t *root =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    /* The largest good number reads 2^63 as well, so what is plainly beyond it comes first. */
    bool is_found = push_way_to_huge(&reader.path, root, 0x1p63) ||
                    push_way_to_huge(&reader.path, root, 0x1.fffffffffffffp62);
    if (!is_found) {
        return false;
    }
    (void) formats_fail(&reader, -EINVAL, "is beyond 64 bits");
    return true;
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
    const char *unfit = find_unfit(text, len, &line, &column);
    if (unfit != NULL) {
        (void) ma_err_set(err, -EINVAL, "line %u, column %u: %s", line, column, unfit);
        return NULL;
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_numeric_overflow &&
        tell_huge(text, len, err)) {
        return NULL;
    }
    if (root == NULL) {
        int code = json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
        (void) ma_err_set(err, code, "line %d, column %d: %s", error.line, error.column,
                          error.text);
        return NULL;
    }
    return root;
}
