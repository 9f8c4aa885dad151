/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* codec.c - "memarb/1 KIND key=value ..." to and from a structure.
 *
 *     line  = "memarb/" number " " kind *( " " key "=" number )
 *     kind  = 1*16( a-z )
 *     key   = a-z *31( a-z / 0-9 / "_" )
 *     number = "0" / ( 1-9 *19( 0-9 ) )           below 2^64, without a leading zero
 *
 * One form for one value: no sign, no blank more, no leading zero, a key at most once. So a line that is cut, joined with
 * another, or made up is refused whole rather than understood by half. Keys that are not known are passed over when the
 * pair is well-formed: a later agent may say more without a new version.
 *
 * The work is one pass over at most MAG_LINE_MAX bytes, and at each key one pass over the form's keys.
 *
 * Rejected: JSON (the agent would need a parser, the host's needs memory a hostile line can multiply); a fixed order of
 * fields (nothing gained, and every addition a new version); binary (unreadable with cat on the port, byte order). */
#include "codec-internal.h"

#include <errno.h>
#include <string.h>

#define KIND_MAX 16U
#define KEY_MAX  32U
#define PREFIX   "memarb/"

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool skip_char(struct mag_cursor *cursor, char c) {
    if (cursor->at == cursor->end || *cursor->at != c) {
        return false;
    }
    cursor->at++;
    return true;
}

static int read_number(struct mag_cursor *cursor, uint64_t *ret) {
    const char *start = cursor->at;
    uint64_t v = 0;
    bool is_too_large = false;
    for (; cursor->at < cursor->end && is_digit(*cursor->at); cursor->at++) {
        is_too_large = __builtin_mul_overflow(v, UINT64_C(10), &v) || is_too_large;
        is_too_large =
            __builtin_add_overflow(v, (uint64_t) (*cursor->at - '0'), &v) || is_too_large;
    }
    size_t digits = (size_t) (cursor->at - start);
    if (digits == 0 || (*start == '0' && digits > 1)) {
        return -EBADMSG;
    }
    if (is_too_large) {
        return -ERANGE;
    }
    *ret = v;
    return 0;
}

/* Length of the word at the cursor, which moves behind it; 0: none, or longer than max. */
static size_t read_word(struct mag_cursor *cursor, size_t max) {
    const char *start = cursor->at;
    while (cursor->at < cursor->end &&
           (is_lower(*cursor->at) ||
            (cursor->at > start && (is_digit(*cursor->at) || *cursor->at == '_')))) {
        cursor->at++;
    }
    size_t length = (size_t) (cursor->at - start);
    return length <= max ? length : 0;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return strncmp(word, text, length) == 0 && word[length] == '\0';
}

int mag_codec_open(struct mag_cursor *cursor,
                   const struct mag_form *forms,
                   size_t n_forms,
                   size_t *ret_kind) {
    const size_t prefix = sizeof(PREFIX) - 1;
    uint64_t version;
    if ((size_t) (cursor->end - cursor->at) >= MAG_LINE_MAX ||
        (size_t) (cursor->end - cursor->at) < prefix || memcmp(cursor->at, PREFIX, prefix) != 0) {
        return -EBADMSG;
    }
    cursor->at += prefix;
    int r = read_number(cursor, &version);
    if (r < 0) {
        return r;
    }
    if (version != MAG_PROTOCOL_VERSION) {
        return -EPROTONOSUPPORT;
    }
    if (!skip_char(cursor, ' ')) {
        return -EBADMSG;
    }
    const char *kind = cursor->at;
    size_t length = read_word(cursor, KIND_MAX);
    if (length == 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < n_forms; i++) {
        if (is_word(kind, length, forms[i].kind)) {
            *ret_kind = i;
            return 0;
        }
    }
    return -ENOMSG;
}

static void store(const struct mag_field *field, void *to, uint64_t value) {
    char *member = (char *) to + field->offset;
    if (field->type == MAG_BOOL) {
        bool flag = value != 0;
        memcpy(member, &flag, sizeof(flag));
    } else {
        memcpy(member, &value, sizeof(value));
    }
}

static uint64_t load(const struct mag_field *field, const void *from) {
    const char *member = (const char *) from + field->offset;
    bool flag;
    uint64_t value;
    if (field->type == MAG_BOOL) {
        memcpy(&flag, member, sizeof(flag));
        return flag ? 1 : 0;
    }
    memcpy(&value, member, sizeof(value));
    return ma_clamp_u64(value, field->min, field->max);
}

/* One " key=value"; *seen has a bit for each field of the form. */
static int
read_pair(struct mag_cursor *cursor, const struct mag_form *form, void *to, uint32_t *seen) {
    uint64_t value;
    if (!skip_char(cursor, ' ')) {
        return -EBADMSG;
    }
    const char *key = cursor->at;
    size_t length = read_word(cursor, KEY_MAX);
    if (length == 0 || !skip_char(cursor, '=')) {
        return -EBADMSG;
    }
    int r = read_number(cursor, &value);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < form->n_fields; i++) {
        const struct mag_field *field = &form->fields[i];
        if (!is_word(key, length, field->key)) {
            continue;
        }
        if ((*seen & (1U << i)) != 0) {
            return -EBADMSG;
        }
        if (value < field->min || value > field->max) {
            return -ERANGE;
        }
        *seen |= 1U << i;
        store(field, to, value);
        return 0;
    }
    return 0;
}

int mag_codec_read(struct mag_cursor *cursor,
                   const struct mag_form *form,
                   void *to,
                   uint32_t *ret_has) {
    uint32_t seen = 0, has = 0, missing = 0;
    while (cursor->at < cursor->end) {
        int r = read_pair(cursor, form, to, &seen);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < form->n_fields; i++) {
        bool is_seen = (seen & (1U << i)) != 0;
        if (!is_seen && form->fields[i].has == 0) {
            return -EBADMSG;
        }
        has |= is_seen ? form->fields[i].has : 0;
        missing |= is_seen ? 0 : form->fields[i].has;
    }
    if ((has & missing) != 0) { /* fields that share a bit come together */
        return -EBADMSG;
    }
    *ret_has = has;
    return 0;
}

struct writer {
    char *buf;
    size_t used;
};

static void write_text(struct writer *w, const char *text) {
    size_t length = ma_min_u64(strlen(text), MAG_LINE_MAX - w->used);
    memcpy(w->buf + w->used, text, length);
    w->used += length;
}

static void write_number(struct writer *w, uint64_t value) {
    char digits[21];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char) ('0' + value % 10);
        value /= 10;
    } while (value > 0);
    write_text(w, digits + at);
}

size_t mag_codec_write(const struct mag_form *form,
                       const void *from,
                       uint32_t has,
                       char buf[MAG_LINE_MAX]) {
    struct writer w = {.buf = buf};
    write_text(&w, PREFIX);
    write_number(&w, MAG_PROTOCOL_VERSION);
    write_text(&w, " ");
    write_text(&w, form->kind);
    for (size_t i = 0; i < form->n_fields; i++) {
        const struct mag_field *field = &form->fields[i];
        if (field->has != 0 && (has & field->has) == 0) {
            continue;
        }
        write_text(&w, " ");
        write_text(&w, field->key);
        write_text(&w, "=");
        write_number(&w, load(field, from));
    }
    write_text(&w, "\n");
    return w.used;
}
