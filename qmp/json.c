/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json.c - the only place that knows jansson's numbers.
 *
 * QEMU reports a statistic that the guest has not sent as 18446744073709551615. jansson's integers are int64, and it
 * refuses the whole document for one such number ("too big integer", jansson 2.14; akheron/jansson issue 154). So every
 * number is decoded as a double, which is exact up to 2^53, far above the 2^50 that is the largest quantity let in.
 * This is the one file with doubles; none leaves it.
 *
 * Depth and number of values are counted before jansson sees the line: its own depth limit of 2048 and the hundred bytes
 * that it spends on each value are more than a peer shall be able to make us spend. */
#include "json.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

/* 2^63 and 2^53 are exact as doubles. */
#define DOUBLE_2_63 0x1p63
#define DOUBLE_2_53 0x1p53

static int check_bounds(const char *line, size_t length, struct ma_err *err) {
    unsigned depth = 0;
    unsigned tokens = 0;
    bool is_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = line[i];
        if (is_string) {
            i += c == '\\' ? 1U : 0U;
            is_string = c != '"';
            continue;
        }
        is_string = c == '"';
        if (c == '[' || c == '{') {
            depth++;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        } else if (c != ',' && c != ':') {
            continue;
        }
        if (depth > QMP_JSON_DEPTH_MAX || ++tokens > QMP_JSON_TOKENS_MAX) {
            return ma_err_set(
                err, -E2BIG, "JSON %s at byte %zu",
                depth > QMP_JSON_DEPTH_MAX ? "nested too deeply" : "of too many values", i);
        }
    }
    return 0;
}

json_t *qmp_json_parse(const char *line, size_t length, struct ma_err *err) {
    json_error_t error;
    if (check_bounds(line, length, err) < 0) {
        return NULL;
    }
    json_t *root = json_loadb(line, length, JSON_DECODE_INT_AS_REAL, &error);
    if (root == NULL) {
        char text[JSON_ERROR_TEXT_LENGTH];
        qmp_text_copy(text, sizeof(text), error.text);
        (void) ma_err_set(err, -EBADMSG, "not JSON at byte %d: %s", error.position, text);
        return NULL;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        (void) ma_err_set(err, -EBADMSG, "not a JSON object");
        return NULL;
    }
    return root;
}

/* A whole number as a double; jansson has let in no NaN and no infinity. */
static int whole_number(const json_t *v, double *ret) {
    if (v == NULL || json_is_null(v)) {
        return -ENOENT;
    }
    if (!json_is_real(v)) {
        return -EINVAL;
    }
    double d = json_real_value(v);
    /* Above 2^53 every double is whole, and the conversion below would not be defined. */
    if (d < DOUBLE_2_53 && d > -DOUBLE_2_53 &&
        (d < (double) (int64_t) d || d > (double) (int64_t) d)) {
        return -EINVAL;
    }
    *ret = d;
    return 0;
}

int qmp_json_u64(const json_t *v, uint64_t max, uint64_t *ret) {
    double d = 0;
    int r = whole_number(v, &d);
    if (r < 0) {
        return r;
    }
    if (d >= DOUBLE_2_63) {
        return -ENODATA;
    }
    if (d < 0 || d > DOUBLE_2_53 || (uint64_t) d > max) {
        return -ERANGE;
    }
    *ret = (uint64_t) d;
    return 0;
}

int qmp_json_bytes(const json_t *v, uint64_t *ret_bytes) {
    return qmp_json_u64(v, MA_BYTES_MAX, ret_bytes);
}

int qmp_json_i64(const json_t *v, int64_t *ret) {
    double d = 0;
    int r = whole_number(v, &d);
    if (r < 0) {
        return r;
    }
    if (d >= DOUBLE_2_63) {
        *ret = INT64_MAX;
    } else if (d < -DOUBLE_2_63) {
        *ret = INT64_MIN;
    } else {
        *ret = (int64_t) d;
    }
    return 0;
}

int qmp_json_bool(const json_t *v, bool *ret) {
    if (v == NULL) {
        return -ENOENT;
    }
    if (!json_is_boolean(v)) {
        return -EINVAL;
    }
    *ret = json_is_true(v);
    return 0;
}

void qmp_text_copy(char *dst, size_t size, const char *src) {
    size_t n = strnlen(src, size - 1);
    if (src[n] != '\0') {
        while (n > 0 && ((unsigned char) src[n] & 0xC0U) == 0x80U) {
            n--; /* the cut falls inside a character */
        }
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) src[i];
        bool is_c1 = c >= 0x80U && c < 0xA0U && i > 0 && (unsigned char) src[i - 1] == 0xC2U;
        dst[i] = c < 0x20U || c == 0x7FU ? '?' : src[i];
        if (is_c1) {
            dst[i - 1] = '?';
            dst[i] = '?';
        }
    }
    dst[n] = '\0';
}

int qmp_json_text(const json_t *v, char *dst, size_t size) {
    if (!json_is_string(v)) {
        return -EINVAL;
    }
    qmp_text_copy(dst, size, json_string_value(v));
    return 0;
}
