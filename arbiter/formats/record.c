/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* record.c - one line of a record: header, cycle or outcome, told apart by the key that only it has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "bytes.h"
#include "formats-internal.h"
#include "formats.h"

#define COUNTER_MAX ((uint64_t) INT64_MAX)
#define SHOWN_MAX   64

void ma_record_line_free(struct ma_record_line *line) {
    if (line == NULL) {
        return;
    }
    if (line->kind == MA_RECORD_CYCLE) {
        ma_snapshot_doc_free(line->cycle.snapshot);
        free(line->cycle.state_memory);
    }
    free(line);
}

static int check_keys(struct formats_reader *reader,
                      const json_t *object,
                      const char *const *allowed,
                      size_t n_required) {
    const char *key;
    json_t *member;
    for (size_t i = 0; i < n_required; i++) {
        if (json_object_get(object, allowed[i]) == NULL) {
            return formats_fail(reader, -EINVAL, "\"%s\" is missing", allowed[i]);
        }
    }
    json_object_foreach((json_t *) (uintptr_t) object, key, member) {
        size_t i = 0;
        while (allowed[i] != NULL && strcmp(allowed[i], key) != 0) {
            i++;
        }
        if (allowed[i] == NULL) {
            formats_path_push_key(&reader->path, key);
            return formats_fail(reader, -EINVAL, "is a key that is unknown here");
        }
    }
    return 0;
}

/* A counter that may be absent (then *ret stays). */
static int
read_counter(struct formats_reader *reader, const json_t *object, const char *key, uint64_t *ret) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return 0;
    }
    formats_path_push_key(&reader->path, key);
    int r = formats_read_integer(reader, value, 0, COUNTER_MAX, ret);
    if (r == 0) {
        formats_path_pop(&reader->path);
    }
    return r;
}

static int read_chars(
    struct formats_reader *reader, const json_t *object, const char *key, size_t size, char *to) {
    const json_t *value = json_object_get(object, key);
    const struct ma_field field = {
        .key = key, .type = MA_FIELD_CHARS, .offset = 0, .size = (uint32_t) size};
    if (value == NULL) {
        return 0;
    }
    formats_path_push_key(&reader->path, key);
    int r = formats_read_scalar(reader, &field, value, to);
    if (r == 0) {
        formats_path_pop(&reader->path);
    }
    return r;
}

static int
read_header(struct formats_reader *reader, const json_t *root, struct ma_record_line *line) {
    static const char *const keys[] = {
        "record", "memarb", "settings", "host", "started_realtime_usec", NULL};
    struct ma_record_header *h = &line->header;
    const json_t *version = json_object_get(root, "record");
    int r = check_keys(reader, root, keys, 3);
    if (r == 0 && (!json_is_integer(version) || json_integer_value(version) != 1)) {
        formats_path_push_key(&reader->path, "record");
        r = formats_fail(reader, -EINVAL, "is not 1, the only version known here");
    }
    if (r == 0) {
        r = read_chars(reader, root, "memarb", sizeof(h->memarb), h->memarb);
    }
    if (r == 0) {
        r = read_chars(reader, root, "host", sizeof(h->host), h->host);
    }
    if (r == 0) {
        r = read_counter(reader, root, "started_realtime_usec", &h->started_realtime_usec);
    }
    if (r < 0) {
        return r;
    }
    formats_path_push_key(&reader->path, "settings");
    return formats_read_settings_tree(reader, json_object_get(root, "settings"), &h->settings);
}

static int read_state_before(struct formats_reader *reader,
                             const json_t *value,
                             size_t spare_guests,
                             struct ma_record_cycle *cycle) {
    size_t n = formats_count_state_guests(value) + cycle->snapshot->snapshot.n_guests;
    size_t max_guests = n + (spare_guests < MA_GUESTS_MAX ? spare_guests : MA_GUESTS_MAX);
    size_t bytes = ma_state_memory_size(max_guests);
    cycle->state_memory = calloc(1, bytes > 0 ? bytes : 1);
    if (cycle->state_memory == NULL) {
        return formats_fail(reader, -ENOMEM, "no memory for %zu bytes", bytes);
    }
    ma_state_init(&cycle->state_before, cycle->state_memory, max_guests, 0);
    return formats_read_state_tree(reader, value, &cycle->state_before);
}

static void keep_text(char *to, size_t size, const json_t *text) {
    (void) snprintf(to, size, "%s", json_is_string(text) ? json_string_value(text) : "");
}

/* What replaying needs of the recorded plan besides its text. */
static void find_words(const json_t *plan, struct ma_record_cycle *cycle) {
    const json_t *first = json_array_get(json_object_get(plan, "actions"), 0);
    keep_text(cycle->policy, sizeof(cycle->policy), json_object_get(plan, "policy"));
    keep_text(cycle->first_uuid, sizeof(cycle->first_uuid), json_object_get(first, "guest"));
}

static int find_texts(struct formats_reader *reader,
                      const json_t *root,
                      const char *text,
                      size_t len,
                      struct ma_record_cycle *cycle) {
    const json_t *trims = json_object_get(root, "trims");
    if (!json_is_object(json_object_get(root, "plan")) ||
        !formats_member_text(text, len, "plan", &cycle->plan_text, &cycle->plan_len)) {
        formats_path_push_key(&reader->path, "plan");
        return formats_fail(reader, -EINVAL, "is not an object");
    }
    find_words(json_object_get(root, "plan"), cycle);
    if (trims != NULL &&
        (!json_is_array(trims) ||
         !formats_member_text(text, len, "trims", &cycle->trims_text, &cycle->trims_len))) {
        formats_path_push_key(&reader->path, "trims");
        return formats_fail(reader, -EINVAL, "is not an array");
    }
    return 0;
}

/* What every line begins with. */
static int read_head(struct formats_reader *reader,
                     const json_t *root,
                     const char *const *keys,
                     size_t n_required,
                     struct ma_record_line *line) {
    int r = check_keys(reader, root, keys, n_required);
    if (r == 0) {
        r = read_counter(reader, root, "seq", &line->seq);
    }
    return r < 0 ? r : read_counter(reader, root, "realtime_usec", &line->realtime_usec);
}

static int read_cycle(struct formats_reader *reader,
                      const json_t *root,
                      size_t spare_guests,
                      struct ma_record_line *line) {
    static const char *const keys[] = {"seq",           "snapshot", "state_before", "plan", "trims",
                                       "realtime_usec", NULL};
    int r = read_head(reader, root, keys, 4, line);
    if (r < 0) {
        return r;
    }
    formats_path_push_key(&reader->path, "snapshot");
    r = formats_read_snapshot_tree(reader, json_object_get(root, "snapshot"),
                                   &line->cycle.snapshot);
    if (r < 0) {
        return r;
    }
    formats_path_pop(&reader->path);
    formats_path_push_key(&reader->path, "state_before");
    r = read_state_before(reader, json_object_get(root, "state_before"), spare_guests,
                          &line->cycle);
    if (r == 0) {
        formats_path_pop(&reader->path);
    }
    return r;
}

static int read_amounts(struct formats_reader *reader,
                        const json_t *outcome,
                        const char *name,
                        struct ma_record_amount *to,
                        size_t *ret_n) {
    const json_t *object = json_object_get(outcome, name);
    const char *key;
    json_t *value;
    size_t n = 0;
    if (object == NULL) {
        return 0;
    }
    formats_path_push_key(&reader->path, name);
    if (!json_is_object(object) || json_object_size(object) > MA_ROWS_MAX) {
        return formats_fail(reader, -EINVAL, "is not an object of at most %d amounts", MA_ROWS_MAX);
    }
    json_object_foreach((json_t *) (uintptr_t) object, key, value) {
        formats_path_push_key(&reader->path, key);
        if (ma_row_from_key(key, &to[n].row) < 0) {
            return formats_fail(reader, -EINVAL, "is no resource");
        }
        if (!json_is_integer(value)) {
            return formats_fail(reader, -EINVAL, "is not an integer");
        }
        to[n++].bytes = json_integer_value(value);
        formats_path_pop(&reader->path);
    }
    formats_path_pop(&reader->path);
    *ret_n = n;
    return 0;
}

static int find_name(struct formats_reader *reader,
                     const json_t *object,
                     const char *key,
                     const char *(*name_at)(unsigned),
                     unsigned *ret) {
    const json_t *value = json_object_get(object, key);
    formats_path_push_key(&reader->path, key);
    if (!json_is_string(value)) {
        return formats_fail(reader, -EINVAL, "is missing or not a string");
    }
    for (unsigned i = 0; name_at(i) != NULL; i++) {
        if (strcmp(name_at(i), json_string_value(value)) == 0) {
            formats_path_pop(&reader->path);
            *ret = i;
            return 0;
        }
    }
    return formats_fail(reader, -EINVAL, "\"%.*s\" is no name that is known here", SHOWN_MAX,
                        json_string_value(value));
}

static const char *action_at(unsigned index) {
    return ma_action_name((enum ma_action) index);
}
static const char *result_at(unsigned index) {
    return ma_outcome_name((enum ma_outcome_result) index);
}

/* The contract leaves "outcome" open: keys that are not known here are passed over. */
static int read_outcome_body(struct formats_reader *reader,
                             const json_t *outcome,
                             struct ma_record_outcome *to) {
    unsigned action = 0;
    if (!json_is_object(outcome)) {
        return formats_fail(reader, -EINVAL, "is not an object");
    }
    int r = find_name(reader, outcome, "action", action_at, &action);
    if (r == 0) {
        to->action = (enum ma_action) action;
        r = find_name(reader, outcome, "result", result_at, &to->result);
    }
    if (r == 0) {
        r = read_chars(reader, outcome, "guest", sizeof(to->uuid), to->uuid);
    }
    if (r == 0) {
        r = read_counter(reader, outcome, "took_usec", &to->took_usec);
    }
    if (r == 0) {
        r = read_amounts(reader, outcome, "predicted", to->predicted, &to->n_predicted);
    }
    if (r == 0) {
        r = read_amounts(reader, outcome, "measured", to->measured, &to->n_measured);
    }
    return r;
}

static int
read_outcome(struct formats_reader *reader, const json_t *root, struct ma_record_line *line) {
    static const char *const keys[] = {"seq", "outcome", "realtime_usec", NULL};
    int r = read_head(reader, root, keys, 2, line);
    if (r < 0) {
        return r;
    }
    formats_path_push_key(&reader->path, "outcome");
    return read_outcome_body(reader, json_object_get(root, "outcome"), &line->outcome);
}

int ma_formats_read_record_line(const char *text,
                                size_t len,
                                size_t spare_guests,
                                struct ma_record_line **ret,
                                struct ma_err *err) {
    struct ma_err scratch;
    struct formats_reader reader = {.err = err != NULL ? err : &scratch};
    formats_auto_json json_t *root = formats_parse(text, len, reader.err);
    if (root == NULL) {
        return reader.err->code;
    }
    if (!json_is_object(root)) {
        return formats_fail(&reader, -EINVAL, "is not an object");
    }
    ma_autoptr(ma_record_line) line = calloc(1, sizeof(*line));
    if (line == NULL) {
        return formats_fail(&reader, -ENOMEM, "no memory for a record line");
    }
    int r = 0;
    if (json_object_get(root, "record") != NULL) {
        line->kind = MA_RECORD_HEADER;
        r = read_header(&reader, root, line);
    } else if (json_object_get(root, "outcome") != NULL) {
        line->kind = MA_RECORD_OUTCOME;
        r = read_outcome(&reader, root, line);
    } else {
        line->kind = MA_RECORD_CYCLE;
        r = read_cycle(&reader, root, spare_guests, line);
        if (r == 0) {
            r = find_texts(&reader, root, text, len, &line->cycle);
        }
    }
    if (r == 0) {
        *ret = ma_steal(&line);
    }
    return r;
}
