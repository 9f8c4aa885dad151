/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read-fields.c - objects by the tables of fields.h. Objects stand in objects at most as deep as the tables do. */
#include <errno.h>
#include <string.h>

#include "formats-internal.h"

/* Keys of one object are remembered as bits. */
#define FIELDS_MAX 64

#define SHOWN_MAX 64

void *formats_arena_take(struct formats_arena *arena, size_t bytes) {
    size_t room = (size_t) (arena->end - arena->at);
    if (bytes > room || room - bytes < 7) {
        return NULL;
    }
    void *p = arena->at;
    arena->at += (bytes + 7) & ~(size_t) 7;
    return p;
}

/* Where the elements of a list go: memory of the document, or the table that stands there. */
static int place_list(struct formats_reader *reader,
                      const struct ma_field *field,
                      size_t n,
                      char *base,
                      char **ret_items) {
    char *at = base + field->offset;
    size_t bytes = n * field->sub->struct_size;
    if (field->type == MA_FIELD_TABLE) {
        *ret_items = field->size > 0 ? at : *(char **) (void *) at;
        /* a table behind a pointer was sized by the caller (state.c) */
        if (field->size > 0 && n > field->size) {
            return formats_fail(reader, -ERANGE, "has more than %u elements", field->size);
        }
    } else if (n > 0) {
        *ret_items = formats_arena_take(&reader->arena, bytes);
        if (*ret_items == NULL) {
            return formats_fail(reader, -ENOMEM, "does not fit the memory laid out for it");
        }
        *(char **) (void *) at = *ret_items;
    }
    if (n > 0) {
        memset(*ret_items, 0, bytes);
    }
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tables, which are constant */
static int read_list(struct formats_reader *reader,
                     const struct ma_field *field,
                     const json_t *value,
                     char *base) {
    char *items = NULL;
    if (!json_is_array(value)) {
        return formats_fail(reader, -EINVAL, "is not an array");
    }
    size_t n = json_array_size(value);
    int r = place_list(reader, field, n, base, &items);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        formats_path_push_index(&reader->path, i);
        r = formats_read_object(reader, field->sub, json_array_get(value, i), false,
                                items + i * field->sub->struct_size);
        if (r < 0) {
            return r;
        }
        formats_path_pop(&reader->path);
    }
    *(size_t *) (void *) (base + field->count_offset) = n;
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tables, which are constant */
static int read_field(struct formats_reader *reader,
                      const struct ma_field *field,
                      const json_t *value,
                      char *base) {
    if (field->type == MA_FIELD_OBJECT) {
        return formats_read_object(reader, field->sub, value, false, base + field->offset);
    }
    if (field->type == MA_FIELD_ARRAY || field->type == MA_FIELD_TABLE) {
        return read_list(reader, field, value, base);
    }
    return formats_read_scalar(reader, field, value, base);
}

/* Which field has that key; the text's order is mostly the table's, so look from `hint` on. */
static size_t find_field(const struct ma_field_set *set, const char *key, size_t hint) {
    for (size_t i = 0; i < set->n_fields; i++) {
        size_t at = (hint + i) % set->n_fields;
        if (strcmp(set->fields[at].key, key) == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

static int check_version(struct formats_reader *reader, const json_t *object) {
    const json_t *version = json_object_get(object, "version");
    if (version == NULL) {
        return formats_fail(reader, -EINVAL, "\"version\" is missing");
    }
    if (!json_is_integer(version) || json_integer_value(version) != 1) {
        formats_path_push_key(&reader->path, "version");
        return formats_fail(reader, -EINVAL, "is not 1, the only version known here");
    }
    return 0;
}

/* Required keys, and figures that are known only together: with half of them missing the rest says nothing. What was
 * not said at all keeps what stood there: 0 in a figure, the default in a setting. */
static int finish_object(struct formats_reader *reader,
                         const struct ma_field_set *set,
                         uint64_t seen,
                         char *base) {
    uint32_t *has = (void *) (base + set->has_offset);
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *field = &set->fields[i];
        if ((seen & (UINT64_C(1) << i)) != 0) {
            continue;
        }
        if (field->presence == MA_FIELD_REQUIRED) {
            return formats_fail(reader, -EINVAL, "\"%s\" is missing", field->key);
        }
        if (field->presence == MA_FIELD_BY_BIT) {
            *has &= ~field->has_bit;
        }
    }
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *field = &set->fields[i];
        bool was_said = (seen & (UINT64_C(1) << i)) != 0;
        if (was_said && field->presence == MA_FIELD_BY_BIT && field->type == MA_FIELD_U64 &&
            (*has & field->has_bit) == 0) {
            *(uint64_t *) (void *) (base + field->offset) = 0;
        }
    }
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tables, which are constant */
int formats_read_object(struct formats_reader *reader,
                        const struct ma_field_set *set,
                        const json_t *value,
                        bool has_version,
                        void *base) {
    const char *key;
    json_t *member;
    uint64_t seen = 0;
    size_t hint = 0;
    if (!json_is_object(value)) {
        return formats_fail(reader, -EINVAL, "is not an object");
    }
    int r = has_version ? check_version(reader, value) : 0;
    if (r < 0) {
        return r;
    }
    uint32_t *has = (void *) ((char *) base + set->has_offset);
    json_object_foreach((json_t *) (uintptr_t) value, key, member) {
        if (has_version && strcmp(key, "version") == 0) {
            continue;
        }
        size_t at = find_field(set, key, hint);
        formats_path_push_key(&reader->path, key);
        if (at >= FIELDS_MAX) {
            return formats_fail(reader, -EINVAL, "is a key that is unknown here");
        }
        r = read_field(reader, &set->fields[at], member, base);
        if (r < 0) {
            return r;
        }
        formats_path_pop(&reader->path);
        if (set->fields[at].has_bit != 0) {
            *has |= set->fields[at].has_bit;
        }
        seen |= UINT64_C(1) << at;
        hint = at + 1;
    }
    return finish_object(reader, set, seen, base);
}
