/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "escape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xFFFDU

/* A well-formed sequence of two to four bytes, or 0. Overlong forms, surrogates and what lies beyond Unicode are none. */
static size_t sequence_length(const unsigned char *s, uint32_t *ret) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] >= 0xF0 && s[0] < 0xF8 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC0 ? 2 : 0;
    if (n == 0 || s[0] >= 0xF8) {
        return 0;
    }
    uint32_t c = s[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) { /* the closing NUL, too */
            return 0;
        }
        c = c << 6 | (s[i] & 0x3FU);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    *ret = c;
    return n;
}

static bool is_unfit(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

/* The next character as it may be shown; returns its length in the text. */
static size_t next_character(const char *text, uint32_t *ret) {
    const unsigned char *s = (const unsigned char *) text;
    uint32_t c = s[0];
    size_t n = c < 0x80 ? 1 : sequence_length(s, &c);
    *ret = n == 0 || is_unfit(c) ? REPLACEMENT : c;
    return n == 0 ? 1 : n;
}

void report_html(FILE *file, const char *text) {
    while (*text != '\0') {
        uint32_t c;
        size_t n = next_character(text, &c);
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' || c == REPLACEMENT) {
            (void) fprintf(file, "&#%u;", c);
        } else {
            (void) fwrite(text, 1, n, file);
        }
        text += n;
    }
}

void report_json(FILE *file, const char *text) {
    (void) fputc('"', file);
    while (*text != '\0') {
        uint32_t c;
        size_t n = next_character(text, &c);
        if (c < 0x80 && strchr("\"\\<>&", (int) c) == NULL) {
            (void) fputc((int) c, file);
        } else if (c < 0x10000) {
            (void) fprintf(file, "\\u%04x", c);
        } else {
            c -= 0x10000;
            (void) fprintf(file, "\\u%04x\\u%04x", 0xD800 + (c >> 10), 0xDC00 + (c & 0x3FF));
        }
        text += n;
    }
    (void) fputc('"', file);
}
