/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-write.c - the bounded writer. What is written is always valid UTF-8 and, unless is_truncated, valid JSON. */
#include "json-write.h"

#include <string.h>

void ma_json_init(struct ma_json *json, char *buf, size_t size) {
    memset(json, 0, sizeof(*json));
    json->buf = buf;
    json->size = size;
    if (size > 0) {
        buf[0] = '\0';
    }
}

static void put(struct ma_json *json, const char *text, size_t len) {
    if (json->is_truncated || len >= json->size || json->len >= json->size - len) {
        json->is_truncated = true;
        return;
    }
    memcpy(json->buf + json->len, text, len);
    json->len += len;
    json->buf[json->len] = '\0';
}

static void put_char(struct ma_json *json, char c) {
    put(json, &c, 1);
}

/* Length of the well-formed UTF-8 sequence at p (Unicode 15, table 3-7), 0: there is none. p ends with NUL, which is
 * no continuation byte, so nothing behind it is read. */
static size_t utf8_length(const unsigned char *p) {
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (p[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high) {
            continue;
        }
        if (p[1] < forms[i].second_low || p[1] > forms[i].second_high) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].length; k++) {
            if (p[k] < 0x80 || p[k] > 0xBF) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

static void put_control(struct ma_json *json, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[] = {'b', 't', 'n', 0, 'f', 'r'}; /* of 0x08..0x0d */
    if (c >= 0x08 && c <= 0x0d && short_forms[c - 0x08] != 0) {
        char text[2] = {'\\', short_forms[c - 0x08]};
        put(json, text, sizeof(text));
        return;
    }
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    put(json, text, sizeof(text));
}

static void put_string(struct ma_json *json, const char *value) {
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    const unsigned char *p = (const unsigned char *) value;
    put_char(json, '"');
    while (*p != '\0') {
        size_t n = utf8_length(p);
        if (n == 0) {
            put(json, replacement, sizeof(replacement) - 1);
            n = 1;
        } else if (*p < 0x20) {
            put_control(json, *p);
        } else {
            if (*p == '"' || *p == '\\') {
                put_char(json, '\\');
            }
            put(json, (const char *) p, n);
        }
        p += n;
    }
    put_char(json, '"');
}

/* Comma and key of the next value. */
static void begin_value(struct ma_json *json, const char *key) {
    if (json->has_element[json->depth]) {
        put_char(json, ',');
    }
    json->has_element[json->depth] = true;
    if (key != NULL) {
        put_string(json, key);
        put_char(json, ':');
    }
}

static void open_value(struct ma_json *json, const char *key, char bracket) {
    if (json->depth + 1 >= MA_JSON_DEPTH_MAX) {
        json->is_truncated = true;
        return;
    }
    begin_value(json, key);
    put_char(json, bracket);
    json->has_element[++json->depth] = false;
}

static void close_value(struct ma_json *json, char bracket) {
    if (json->depth == 0) {
        json->is_truncated = true; /* unbalanced calls: never valid JSON */
        return;
    }
    json->depth--;
    put_char(json, bracket);
}

void ma_json_object(struct ma_json *json, const char *key) {
    open_value(json, key, '{');
}
void ma_json_array(struct ma_json *json, const char *key) {
    open_value(json, key, '[');
}
void ma_json_end_object(struct ma_json *json) {
    close_value(json, '}');
}
void ma_json_end_array(struct ma_json *json) {
    close_value(json, ']');
}

static void put_number(struct ma_json *json, uint64_t value, bool is_negative) {
    char digits[21];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char) ('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (is_negative) {
        digits[--at] = '-';
    }
    put(json, digits + at, sizeof(digits) - at);
}

void ma_json_u64(struct ma_json *json, const char *key, uint64_t value) {
    begin_value(json, key);
    put_number(json, value, false);
}

void ma_json_i64(struct ma_json *json, const char *key, int64_t value) {
    begin_value(json, key);
    put_number(json, value < 0 ? UINT64_C(0) - (uint64_t) value : (uint64_t) value, value < 0);
}

void ma_json_bool(struct ma_json *json, const char *key, bool value) {
    begin_value(json, key);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void ma_json_string(struct ma_json *json, const char *key, const char *value) {
    if (value != NULL) {
        begin_value(json, key);
        put_string(json, value);
    }
}
