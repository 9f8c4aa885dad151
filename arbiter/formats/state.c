/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state.c - the controller's memory and the whole settings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats-internal.h"
#include "formats.h"

size_t formats_count_state_guests(const json_t *value) {
    return json_array_size(json_object_get(value, "guests"));
}

/* All but the table's memory and room. */
static void clear_state(struct ma_state *state) {
    struct ma_guest_memory *guests = state->guests;
    size_t max_guests = state->max_guests;
    memset(state, 0, sizeof(*state));
    state->guests = guests;
    state->max_guests = max_guests;
}

static int compare_uuids(const void *a, const void *b) {
    return strcmp(((const struct ma_guest_memory *) a)->uuid,
                  ((const struct ma_guest_memory *) b)->uuid);
}

static int check_uuids(struct formats_reader *reader, const struct ma_state *state) {
    for (size_t i = 0; i < state->n_guests; i++) {
        const char *uuid = state->guests[i].uuid;
        if (uuid[0] == '\0') {
            return formats_fail(reader, -EINVAL, "a guest's uuid is empty");
        }
        if (i > 0 && strcmp(state->guests[i - 1].uuid, uuid) == 0) {
            return formats_fail(reader, -EINVAL, "guest \"%s\" stands here twice", uuid);
        }
    }
    return 0;
}

int formats_read_state_tree(struct formats_reader *reader,
                            const json_t *value,
                            struct ma_state *into) {
    clear_state(into);
    size_t n = formats_count_state_guests(value);
    if (n > into->max_guests) {
        formats_path_push_key(&reader->path, "guests");
        return formats_fail(reader, -ENOSPC, "%zu guests do not fit a table of %zu", n,
                            into->max_guests);
    }
    int r = formats_read_object(reader, &ma_fields_state, value, true, into);
    if (r == 0 && into->n_guests > 0) {
        qsort(into->guests, into->n_guests, sizeof(into->guests[0]), compare_uuids);
        formats_path_push_key(&reader->path, "guests");
        r = check_uuids(reader, into);
        formats_path_pop(&reader->path);
    }
    if (r < 0) {
        clear_state(into);
    }
    return r;
}

int formats_read_settings_tree(struct formats_reader *reader,
                               const json_t *value,
                               struct ma_settings *ret) {
    struct ma_settings settings;
    ma_settings_init(&settings);
    int r = formats_read_object(reader, &ma_fields_settings_whole, value, false, &settings);
    if (r == 0) {
        *ret = settings;
    }
    return r;
}

int ma_formats_read_state(const char *text, size_t len, struct ma_state *into, struct ma_err *err) {
    struct ma_err scratch;
    struct formats_reader reader = {.err = err != NULL ? err : &scratch};
    formats_auto_json json_t *root = formats_parse(text, len, reader.err);
    if (root == NULL) {
        clear_state(into);
        return reader.err->code;
    }
    return formats_read_state_tree(&reader, root, into);
}

int64_t ma_formats_count_state_guests(const char *text, size_t len, struct ma_err *err) {
    struct ma_err scratch;
    struct ma_err *e = err != NULL ? err : &scratch;
    formats_auto_json json_t *root = formats_parse(text, len, e);
    return root == NULL ? e->code : (int64_t) formats_count_state_guests(root);
}

int ma_formats_read_settings(const char *text,
                             size_t len,
                             struct ma_settings *ret,
                             struct ma_err *err) {
    struct ma_err scratch;
    struct formats_reader reader = {.err = err != NULL ? err : &scratch};
    formats_auto_json json_t *root = formats_parse(text, len, reader.err);
    return root == NULL ? reader.err->code : formats_read_settings_tree(&reader, root, ret);
}
