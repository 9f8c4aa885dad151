/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* members.c - the very text of one member of an object, for what must be compared byte for byte. */
#include <string.h>

#include "formats-internal.h"

/* Behind the string whose opening quote is at text[i]. */
static size_t skip_string(const char *text, size_t len, size_t i) {
    for (i++; i < len && text[i] != '"'; i++) {
        i += text[i] == '\\' ? 1 : 0;
    }
    return i < len ? i + 1 : len;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(const char *text, size_t len, size_t i) {
    while (i < len && is_blank(text[i])) {
        i++;
    }
    return i;
}

/* Behind the value that starts at text[i]. */
static size_t skip_value(const char *text, size_t len, size_t i) {
    unsigned depth = 0;
    while (i < len) {
        char c = text[i];
        if (c == '"') {
            i = skip_string(text, len, i);
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']' || is_blank(c))) {
            return i;
        } else {
            depth += c == '{' || c == '[' ? 1U : 0U;
            depth -= c == '}' || c == ']' ? 1U : 0U;
            i++;
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']')) {
            return i;
        }
    }
    return len;
}

bool formats_member_text(
    const char *text, size_t len, const char *key, const char **ret_text, size_t *ret_len) {
    size_t key_len = strlen(key);
    size_t i = skip_blanks(text, len, 0) + 1; /* behind the brace */
    while (i < len) {
        i = skip_blanks(text, len, i);
        size_t key_at = i + 1;
        if (i >= len || text[i] != '"') {
            return false;
        }
        i = skip_string(text, len, i);
        bool is_it = i - key_at == key_len + 1 && memcmp(text + key_at, key, key_len) == 0;
        i = skip_blanks(text, len, i) + 1; /* behind the colon */
        size_t start = skip_blanks(text, len, i);
        i = skip_value(text, len, start);
        if (is_it && start < len) {
            *ret_text = text + start;
            *ret_len = i - start;
            return true;
        }
        i = skip_blanks(text, len, i) + 1; /* behind the comma or the brace */
    }
    return false;
}
