/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-fields.c - structs written by the tables of fields.h. */
#include "fields.h"

#include <string.h>

#include "json-write.h"
#include "rows.h"
#include "snapshot.h"
#include "state.h"

/* Largest integer that every JSON reader keeps exact; beyond it the digits stand in a string. */
#define NUMBER_MAX ((uint64_t) INT64_MAX)

/* A member of type `type`, at the field's offset (the tables' own promise of type and alignment). */
#define MEMBER(base, field, type) (*(const type *) (const void *) ((base) + (field)->offset))

static void write_u64(struct ma_json *json, const char *key, uint64_t value) {
    if (value <= NUMBER_MAX) {
        ma_json_u64(json, key, value);
        return;
    }
    char digits[24];
    struct ma_json text;
    ma_json_init(&text, digits, sizeof(digits));
    ma_json_u64(&text, NULL, value);
    ma_json_string(json, key, digits);
}

static void
write_bits(struct ma_json *json, const char *key, const struct ma_names *names, uint32_t bits) {
    ma_json_array(json, key);
    for (unsigned i = 0; i < names->count; i++) {
        if ((bits & (1U << i)) != 0) {
            ma_json_string(json, NULL, names->names[i]);
        }
    }
    ma_json_end_array(json);
}

static void write_impact(struct ma_json *json, const char *key, const struct ma_guest_config *c) {
    switch (c->impact_class) {
    case MA_IMPACT_NEVER:
        ma_json_string(json, key, "never");
        break;
    case MA_IMPACT_FIRST:
        ma_json_string(json, key, "first");
        break;
    case MA_IMPACT_WEIGHT:
    default:
        ma_json_u64(json, key, c->impact);
        break;
    }
}

static void write_numbers(struct ma_json *json, const struct ma_field *field, const void *array) {
    const uint64_t *u64s = array;
    const uint32_t *u32s = array;
    bool is_wide = field->type == MA_FIELD_U64S;
    uint32_t n = field->size;
    while (n > 0 && (is_wide ? u64s[n - 1] : u32s[n - 1]) == 0) {
        n--;
    }
    if (n == 0) {
        return;
    }
    ma_json_array(json, field->key);
    for (uint32_t i = 0; i < n; i++) {
        write_u64(json, NULL, is_wide ? u64s[i] : u32s[i]);
    }
    ma_json_end_array(json);
}

static void write_uuids(struct ma_json *json, const struct ma_field *field, const char *array) {
    uint32_t n = field->size;
    while (n > 0 && array[(size_t) (n - 1) * MA_UUID_MAX] == '\0') {
        n--;
    }
    if (n == 0) {
        return;
    }
    ma_json_array(json, field->key);
    for (uint32_t i = 0; i < n; i++) {
        ma_json_string(json, NULL, array + (size_t) i * MA_UUID_MAX);
    }
    ma_json_end_array(json);
}

/* Recursion as deep as the tables nest, which are ours: no input decides it. NOLINTBEGIN(misc-no-recursion) */
static void write_list(struct ma_json *json, const struct ma_field *field, const char *base) {
    const size_t *count = (const void *) (base + field->count_offset);
    const char *items = base + field->offset;
    if (field->type == MA_FIELD_ARRAY || field->size == 0) {
        items = *(const char *const *) (const void *) items;
    }
    if (*count == 0 && field->presence != MA_FIELD_REQUIRED) {
        return;
    }
    ma_json_array(json, field->key);
    for (size_t i = 0; i < *count; i++) {
        ma_json_object(json, NULL);
        ma_json_fields(json, field->sub, items + i * field->sub->struct_size);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void write_object(struct ma_json *json, const struct ma_field *field, const char *base) {
    const char *part = base + field->offset;
    const uint32_t *has = (const void *) (part + field->sub->has_offset);
    if (field->presence == MA_FIELD_BY_HAS && *has == 0) {
        return;
    }
    ma_json_object(json, field->key);
    ma_json_fields(json, field->sub, part);
    ma_json_end_object(json);
}

/* Is a scalar that is left out when it says nothing to be written? */
static bool is_zero(const struct ma_field *field, const char *base) {
    static const char zeros[8] = {0};
    static const size_t sizes[] = {
        [MA_FIELD_U64] = 8,   [MA_FIELD_U32] = 4,  [MA_FIELD_U16] = 2,
        [MA_FIELD_I64] = 8,   [MA_FIELD_I32] = 4,  [MA_FIELD_BOOL] = sizeof(bool),
        [MA_FIELD_CHARS] = 1, [MA_FIELD_NAME] = 4, [MA_FIELD_BITS] = 4,
    };
    size_t n = (size_t) field->type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[field->type] : 0;
    return n > 0 && memcmp(base + field->offset, zeros, n) == 0;
}

static bool
is_written(const struct ma_field_set *set, const struct ma_field *field, const char *base) {
    if (field->presence == MA_FIELD_BY_BIT) {
        return (*(const uint32_t *) (const void *) (base + set->has_offset) & field->has_bit) != 0;
    }
    return field->presence != MA_FIELD_BY_ZERO || !is_zero(field, base);
}

static void write_row(struct ma_json *json, const char *key, const struct ma_row *row) {
    char text[MA_ROW_KEY_MAX];
    ma_json_string(json, key, ma_row_key(text, row));
}

/* Anything that is no plain scalar. */
static void write_composite(struct ma_json *json, const struct ma_field *field, const char *base) {
    const char *at = base + field->offset;
    switch (field->type) { /* NOLINT: scalars are write_field's */
    case MA_FIELD_IMPACT:
        write_impact(json, field->key,
                     (const void *) (at - offsetof(struct ma_guest_config, impact)));
        break;
    case MA_FIELD_ROW:
        write_row(json, field->key, (const void *) at);
        break;
    case MA_FIELD_U64S:
    case MA_FIELD_U32S:
        write_numbers(json, field, at);
        break;
    case MA_FIELD_UUIDS:
        write_uuids(json, field, at);
        break;
    case MA_FIELD_OBJECT:
        write_object(json, field, base);
        break;
    case MA_FIELD_ARRAY:
    case MA_FIELD_TABLE:
        write_list(json, field, base);
        break;
    case MA_FIELD_U64:
    case MA_FIELD_U32:
    case MA_FIELD_U16:
    case MA_FIELD_I64:
    case MA_FIELD_I32:
    case MA_FIELD_BOOL:
    case MA_FIELD_NOT_BOOL:
    case MA_FIELD_TEXT:
    case MA_FIELD_CHARS:
    case MA_FIELD_NAME:
    case MA_FIELD_BITS:
    default:
        break;
    }
}

static void write_field(struct ma_json *json, const struct ma_field *field, const char *base) {
    switch (field->type) { /* NOLINT: the rest is write_composite's */
    case MA_FIELD_U64:
        write_u64(json, field->key, MEMBER(base, field, uint64_t));
        break;
    case MA_FIELD_U32:
        ma_json_u64(json, field->key, MEMBER(base, field, uint32_t));
        break;
    case MA_FIELD_U16:
        ma_json_u64(json, field->key, MEMBER(base, field, uint16_t));
        break;
    case MA_FIELD_I64:
        ma_json_i64(json, field->key, MEMBER(base, field, int64_t));
        break;
    case MA_FIELD_I32:
        ma_json_i64(json, field->key, MEMBER(base, field, int32_t));
        break;
    case MA_FIELD_BOOL:
        ma_json_bool(json, field->key, MEMBER(base, field, bool));
        break;
    case MA_FIELD_NOT_BOOL:
        ma_json_bool(json, field->key, !MEMBER(base, field, bool));
        break;
    case MA_FIELD_TEXT:
        ma_json_string(json, field->key, MEMBER(base, field, char *));
        break;
    case MA_FIELD_CHARS:
        ma_json_string(json, field->key, base + field->offset);
        break;
    case MA_FIELD_NAME:
        ma_json_string(json, field->key, ma_names_at(field->names, MEMBER(base, field, unsigned)));
        break;
    case MA_FIELD_BITS:
        write_bits(json, field->key, field->names, MEMBER(base, field, uint32_t));
        break;
    case MA_FIELD_IMPACT:
    case MA_FIELD_ROW:
    case MA_FIELD_U64S:
    case MA_FIELD_U32S:
    case MA_FIELD_UUIDS:
    case MA_FIELD_OBJECT:
    case MA_FIELD_ARRAY:
    case MA_FIELD_TABLE:
    default:
        write_composite(json, field, base);
        break;
    }
}

void ma_json_fields(struct ma_json *json, const struct ma_field_set *set, const void *base) {
    for (size_t i = 0; i < set->n_fields; i++) {
        if (is_written(set, &set->fields[i], base)) {
            write_field(json, &set->fields[i], base);
        }
    }
}
/* NOLINTEND(misc-no-recursion) */
