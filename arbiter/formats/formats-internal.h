/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* formats-internal.h - what the readers share. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "fields.h"

static inline void formats_decref(json_t **json) {
    json_decref(*json);
}
#define formats_auto_json __attribute__((cleanup(formats_decref)))

/* parse.c: bounds, then jansson. An object, or NULL with *err (and its code) filled. */
json_t *formats_parse(const char *text, size_t len, struct ma_err *err);

/* path.c: where in the text's tree the reader is. Frames are pushed and popped by the reader; nothing is formatted
 * until something is wrong. */
#define FORMATS_PATH_FRAMES 16
struct formats_path {
    struct {
        const char *key; /* NULL: the index of a list */
        size_t index;
    } frames[FORMATS_PATH_FRAMES];
    size_t n;
};
void formats_path_push_key(struct formats_path *path, const char *key);
void formats_path_push_index(struct formats_path *path, size_t index);
void formats_path_pop(struct formats_path *path);

/* Memory of one document, laid out in advance: see snapshot.c. */
struct formats_arena {
    char *at;
    char *end;
};
/* 8-byte aligned and zeroed, or NULL when the size was computed too small (our own bug). */
void *formats_arena_take(struct formats_arena *arena, size_t bytes);

struct formats_reader {
    struct formats_path path;
    struct formats_arena arena;
    struct ma_err *err;
};
/* "$.a[3].b: message"; returns code. */
int formats_fail(struct formats_reader *reader, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* read-scalars.c: one field that is no object and no list of objects. -EOPNOTSUPP: it is one. */
int formats_read_scalar(struct formats_reader *reader,
                        const struct ma_field *field,
                        const json_t *value,
                        char *base);
int formats_read_integer(
    struct formats_reader *reader, const json_t *value, uint64_t min, uint64_t max, uint64_t *ret);

/* read-fields.c: an object by its table into *base. `has_version`: "version" must be there and 1. */
int formats_read_object(struct formats_reader *reader,
                        const struct ma_field_set *set,
                        const json_t *value,
                        bool has_version,
                        void *base);

struct ma_settings;
struct ma_snapshot_doc;
struct ma_state;
/* The same as the public ones, from a tree; the reader's path is where it stands. */
int formats_read_snapshot_tree(struct formats_reader *reader,
                               const json_t *value,
                               struct ma_snapshot_doc **ret);
int formats_read_state_tree(struct formats_reader *reader,
                            const json_t *value,
                            struct ma_state *into);
int formats_read_settings_tree(struct formats_reader *reader,
                               const json_t *value,
                               struct ma_settings *ret);
/* Guests in a state's tree, whatever else is in it. */
size_t formats_count_state_guests(const json_t *value);

/* members.c: the extent of the value of a member of the object in text (valid JSON). Returns false: no such key. */
bool formats_member_text(
    const char *text, size_t len, const char *key, const char **ret_text, size_t *ret_len);
