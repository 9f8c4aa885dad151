/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read-scalars.c - numbers, names, texts and short lists of them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "formats-internal.h"
#include "rows.h"
#include "snapshot.h"
#include "state.h"

/* Foreign text in a message is cut here. */
#define SHOWN_MAX 64

#define MEMBER(base, field, type) (*(type *) (void *) ((base) + (field)->offset))

/* Numbers beyond JSON's exact integers stand as digits in a string (json-fields.c writes them so). */
static bool read_digits(const json_t *value, uint64_t *ret) {
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value) &&
           ma_parse_u64(json_string_value(value), UINT64_MAX, ret) == 0;
}

int formats_read_integer(
    struct formats_reader *reader, const json_t *value, uint64_t min, uint64_t max, uint64_t *ret) {
    uint64_t v = 0;
    if (!(max > (uint64_t) INT64_MAX && read_digits(value, &v))) {
        if (!json_is_integer(value)) {
            return formats_fail(reader, -EINVAL, "is not an integer");
        }
        if (json_integer_value(value) < 0) {
            return formats_fail(reader, -ERANGE, "is negative");
        }
        v = (uint64_t) json_integer_value(value);
    }
    if (v < min || v > max) {
        return formats_fail(reader, -ERANGE, "is not between %" PRIu64 " and %" PRIu64, min, max);
    }
    *ret = v;
    return 0;
}

static int
read_signed(struct formats_reader *reader, const json_t *value, uint64_t max, int64_t *ret) {
    if (!json_is_integer(value)) {
        return formats_fail(reader, -EINVAL, "is not an integer");
    }
    int64_t v = json_integer_value(value);
    uint64_t size = v < 0 ? UINT64_C(0) - (uint64_t) v : (uint64_t) v;
    if (size > max) {
        return formats_fail(reader, -ERANGE, "is not between -%" PRIu64 " and %" PRIu64, max, max);
    }
    *ret = v;
    return 0;
}

static int read_unsigned(struct formats_reader *reader,
                         const struct ma_field *field,
                         const json_t *value,
                         char *base) {
    uint64_t v = 0;
    int r = formats_read_integer(reader, value, field->min, field->max, &v);
    if (r < 0) {
        return r;
    }
    if (field->type == MA_FIELD_U64) {
        MEMBER(base, field, uint64_t) = v;
    } else if (field->type == MA_FIELD_U32) {
        MEMBER(base, field, uint32_t) = (uint32_t) v;
    } else {
        MEMBER(base, field, uint16_t) = (uint16_t) v;
    }
    return 0;
}

static int read_bool(struct formats_reader *reader,
                     const struct ma_field *field,
                     const json_t *value,
                     char *base) {
    if (!json_is_boolean(value)) {
        return formats_fail(reader, -EINVAL, "is neither true nor false");
    }
    MEMBER(base, field, bool) = json_is_true(value) == (field->type == MA_FIELD_BOOL);
    return 0;
}

static int read_name(struct formats_reader *reader,
                     const struct ma_names *names,
                     const json_t *value,
                     unsigned *ret) {
    if (!json_is_string(value)) {
        return formats_fail(reader, -EINVAL, "is not a string");
    }
    int index = ma_names_find(names, json_string_value(value));
    if (index < 0) {
        return formats_fail(reader, -EINVAL, "\"%.*s\" is no name that is known here", SHOWN_MAX,
                            json_string_value(value));
    }
    *ret = (unsigned) index;
    return 0;
}

static int read_bits(struct formats_reader *reader,
                     const struct ma_field *field,
                     const json_t *value,
                     char *base) {
    uint32_t bits = 0;
    if (!json_is_array(value)) {
        return formats_fail(reader, -EINVAL, "is not an array");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        unsigned index = 0;
        formats_path_push_index(&reader->path, i);
        int r = read_name(reader, field->names, json_array_get(value, i), &index);
        if (r == 0 && (bits & (1U << index)) != 0) {
            r = formats_fail(reader, -EINVAL, "stands here twice");
        }
        if (r < 0) {
            return r;
        }
        formats_path_pop(&reader->path);
        bits |= 1U << index;
    }
    MEMBER(base, field, uint32_t) = bits;
    return 0;
}

static int read_chars(struct formats_reader *reader, const json_t *value, size_t size, char *to) {
    if (!json_is_string(value)) {
        return formats_fail(reader, -EINVAL, "is not a string");
    }
    if (json_string_length(value) >= size) {
        return formats_fail(reader, -ERANGE, "is longer than %zu bytes", size - 1);
    }
    memset(to, 0, size);
    memcpy(to, json_string_value(value), json_string_length(value));
    return 0;
}

static int read_text(struct formats_reader *reader,
                     const struct ma_field *field,
                     const json_t *value,
                     char *base) {
    if (!json_is_string(value)) {
        return formats_fail(reader, -EINVAL, "is not a string");
    }
    size_t len = json_string_length(value);
    char *copy = formats_arena_take(&reader->arena, len + 1);
    if (copy == NULL) {
        return formats_fail(reader, -ENOMEM, "does not fit the memory laid out for it");
    }
    memcpy(copy, json_string_value(value), len);
    MEMBER(base, field, const char *) = copy;
    return 0;
}

static int read_impact(struct formats_reader *reader, const json_t *value, char *at) {
    struct ma_guest_config *config = (void *) (at - offsetof(struct ma_guest_config, impact));
    uint64_t weight = 0;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        if (strcmp(text, "never") != 0 && strcmp(text, "first") != 0) {
            return formats_fail(reader, -EINVAL, "\"%.*s\" is neither 1..1000, never nor first",
                                SHOWN_MAX, text);
        }
        config->impact_class = text[0] == 'n' ? MA_IMPACT_NEVER : MA_IMPACT_FIRST;
        return 0;
    }
    int r = formats_read_integer(reader, value, 1, MA_IMPACT_MAX, &weight);
    if (r == 0) {
        config->impact_class = MA_IMPACT_WEIGHT;
        config->impact = (uint32_t) weight;
    }
    return r;
}

static int read_row(struct formats_reader *reader, const json_t *value, char *at) {
    if (!json_is_string(value) ||
        ma_row_from_key(json_string_value(value), (struct ma_row *) (void *) at) < 0) {
        return formats_fail(reader, -EINVAL, "is no resource");
    }
    return 0;
}

/* One element of a fixed array. */
static int read_element(struct formats_reader *reader,
                        const struct ma_field *field,
                        const json_t *value,
                        size_t index,
                        char *at) {
    uint64_t v = 0;
    if (field->type == MA_FIELD_UUIDS) {
        return read_chars(reader, value, MA_UUID_MAX, at + index * MA_UUID_MAX);
    }
    int r = formats_read_integer(reader, value, 0, field->max, &v);
    if (r == 0 && field->type == MA_FIELD_U64S) {
        ((uint64_t *) (void *) at)[index] = v;
    } else if (r == 0) {
        ((uint32_t *) (void *) at)[index] = (uint32_t) v;
    }
    return r;
}

static int read_fixed(struct formats_reader *reader,
                      const struct ma_field *field,
                      const json_t *value,
                      char *at) {
    if (!json_is_array(value)) {
        return formats_fail(reader, -EINVAL, "is not an array");
    }
    if (json_array_size(value) > field->size) {
        return formats_fail(reader, -ERANGE, "has more than %u elements", field->size);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        formats_path_push_index(&reader->path, i);
        int r = read_element(reader, field, json_array_get(value, i), i, at);
        if (r < 0) {
            return r;
        }
        formats_path_pop(&reader->path);
    }
    return 0;
}

static int read_any_signed(struct formats_reader *reader,
                           const struct ma_field *field,
                           const json_t *value,
                           char *base) {
    int64_t v = 0;
    int r = read_signed(reader, value, field->max, &v);
    if (r == 0 && field->type == MA_FIELD_I64) {
        MEMBER(base, field, int64_t) = v;
    } else if (r == 0) {
        MEMBER(base, field, int32_t) = (int32_t) v;
    }
    return r;
}

int formats_read_scalar(struct formats_reader *reader,
                        const struct ma_field *field,
                        const json_t *value,
                        char *base) {
    char *at = base + field->offset;
    switch (field->type) {
    case MA_FIELD_U64:
    case MA_FIELD_U32:
    case MA_FIELD_U16:
        return read_unsigned(reader, field, value, base);
    case MA_FIELD_I64:
    case MA_FIELD_I32:
        return read_any_signed(reader, field, value, base);
    case MA_FIELD_BOOL:
    case MA_FIELD_NOT_BOOL:
        return read_bool(reader, field, value, base);
    case MA_FIELD_TEXT:
        return read_text(reader, field, value, base);
    case MA_FIELD_CHARS:
        return read_chars(reader, value, field->size, at);
    case MA_FIELD_NAME:
        return read_name(reader, field->names, value, (unsigned *) (void *) at);
    case MA_FIELD_BITS:
        return read_bits(reader, field, value, base);
    case MA_FIELD_IMPACT:
        return read_impact(reader, value, at);
    case MA_FIELD_ROW:
        return read_row(reader, value, at);
    case MA_FIELD_U64S:
    case MA_FIELD_U32S:
    case MA_FIELD_UUIDS:
        return read_fixed(reader, field, value, at);
    case MA_FIELD_OBJECT:
    case MA_FIELD_ARRAY:
    case MA_FIELD_TABLE:
    default:
        return -EOPNOTSUPP;
    }
}
