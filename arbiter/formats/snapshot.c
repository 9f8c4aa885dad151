/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot.c - a snapshot's text into one heap block.
 *
 * The tree is walked twice: first its lists and strings are counted, then the block is taken, and the same walk that
 * checks every key fills it. Guests and nodes are sorted afterwards; where the check of the whole finds something
 * wrong, the place is looked up again in the tree, so that the path speaks of the text's own order. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "formats-internal.h"
#include "formats.h"

#define ROUND 7 /* what aligning one piece may cost */

void ma_snapshot_doc_free(struct ma_snapshot_doc *doc) {
    free(doc);
}

static size_t text_bytes(const json_t *object, const char *key) {
    const json_t *text = json_object_get(object, key);
    return json_is_string(text) ? json_string_length(text) + 1 + ROUND : 0;
}

static size_t list_bytes(const json_t *object, const char *key, size_t each) {
    const json_t *list = json_object_get(object, key);
    return json_is_array(list) ? json_array_size(list) * each + ROUND : 0;
}

/* Memory for all that the tables place in the arena: lists, and fields of type MA_FIELD_TEXT. */
static size_t count_bytes(const json_t *root) {
    const json_t *guests = json_object_get(root, "guests");
    size_t bytes = sizeof(struct ma_snapshot_doc) + 2 * ROUND;
    bytes += list_bytes(json_object_get(root, "host"), "nodes", sizeof(struct ma_node));
    bytes += list_bytes(root, "guests", sizeof(struct ma_guest));
    for (size_t i = 0; i < json_array_size(guests); i++) {
        const json_t *guest = json_array_get(guests, i);
        bytes += text_bytes(guest, "uuid") + text_bytes(guest, "name");
        bytes += text_bytes(json_object_get(guest, "config"), "group");
        bytes += list_bytes(guest, "nodes", sizeof(struct ma_guest_node));
    }
    return bytes;
}

static int compare_guests(const void *a, const void *b) {
    return strcmp(((const struct ma_guest *) a)->uuid, ((const struct ma_guest *) b)->uuid);
}
static int compare_nodes(const void *a, const void *b) {
    return (int) ((const struct ma_node *) a)->id - (int) ((const struct ma_node *) b)->id;
}
static int compare_guest_nodes(const void *a, const void *b) {
    return (int) ((const struct ma_guest_node *) a)->id -
           (int) ((const struct ma_guest_node *) b)->id;
}

/* The block is ours and not published yet: its lists may still be put in order. */
static void sort_all(struct ma_snapshot *s) {
    struct ma_guest *guests = (void *) (uintptr_t) s->guests;
    if (s->host.n_nodes > 1) {
        qsort((void *) (uintptr_t) s->host.nodes, s->host.n_nodes, sizeof(struct ma_node),
              compare_nodes);
    }
    for (size_t i = 0; i < s->n_guests; i++) {
        struct ma_guest *g = &guests[i];
        if (g->n_nodes > 1) {
            qsort((void *) (uintptr_t) g->nodes, g->n_nodes, sizeof(struct ma_guest_node),
                  compare_guest_nodes);
        }
        /* the guest's claim, bounded by what the host gave it */
        if ((g->has & MA_GUEST_HAS_MAX) != 0 && g->actual_bytes > g->max_bytes) {
            g->actual_bytes = g->max_bytes;
        }
    }
    if (s->n_guests > 1) {
        qsort(guests, s->n_guests, sizeof(*guests), compare_guests);
    }
}

/* Index in the text of the last element whose `key` is that; duplicates are so named at the later one. */
static size_t find_input(const json_t *list, const char *key, const char *text, uint64_t id) {
    for (size_t i = json_array_size(list); i-- > 0;) {
        const json_t *value = json_object_get(json_array_get(list, i), key);
        if (text != NULL ? strcmp(json_string_value(value), text) == 0
                         : (uint64_t) json_integer_value(value) == id) {
            return i;
        }
    }
    return 0;
}

/* The check's path, with the indices of the text in place of the sorted ones. */
static int fail_at_input(struct formats_reader *reader,
                         int code,
                         const struct ma_snapshot *s,
                         const json_t *root,
                         const struct ma_check_problem *problem) {
    static const char in_host[] = "$.host.nodes[";
    static const char in_guests[] = "$.guests[";
    static const char in_nodes[] = "].nodes[";
    const json_t *guests = json_object_get(root, "guests");
    const char *p = problem->path;
    char *tail = NULL;
    char path[2 * MA_CHECK_PATH_MAX];
    if (strncmp(p, in_host, strlen(in_host)) == 0) {
        const struct ma_node *node = &s->host.nodes[strtoul(p + strlen(in_host), &tail, 10)];
        const json_t *nodes = json_object_get(json_object_get(root, "host"), "nodes");
        (void) snprintf(path, sizeof(path), ".host.nodes[%zu%s",
                        find_input(nodes, "id", NULL, node->id), tail);
    } else if (strncmp(p, in_guests, strlen(in_guests)) == 0) {
        const struct ma_guest *guest = &s->guests[strtoul(p + strlen(in_guests), &tail, 10)];
        size_t at = find_input(guests, "uuid", guest->uuid, 0);
        int n = snprintf(path, sizeof(path), ".guests[%zu", at);
        if (strncmp(tail, in_nodes, strlen(in_nodes)) == 0) {
            const json_t *nodes = json_object_get(json_array_get(guests, at), "nodes");
            size_t k = strtoul(tail + strlen(in_nodes), &tail, 10);
            n += snprintf(path + n, sizeof(path) - (size_t) n, "].nodes[%zu",
                          find_input(nodes, "id", NULL, guest->nodes[k].id));
        }
        (void) snprintf(path + n, sizeof(path) - (size_t) n, "%s", tail);
    } else {
        (void) snprintf(path, sizeof(path), "%s", p + 1);
    }
    formats_path_push_key(&reader->path, path + 1);
    return formats_fail(reader, code, "%s", problem->what);
}

static int
check_whole(struct formats_reader *reader, const struct ma_snapshot *s, const json_t *root) {
    struct ma_check_problem problem;
    struct ma_settings settings = s->settings;
    const char *what = NULL;
    int r = ma_snapshot_check(s, &problem);
    if (r < 0) {
        return fail_at_input(reader, r, s, root, &problem);
    }
    r = ma_settings_resolve(&settings, s->host.total_bytes, &what);
    if (r < 0) {
        formats_path_push_key(&reader->path, "settings");
        return formats_fail(reader, r, "%s", what);
    }
    return 0;
}

int formats_read_snapshot_tree(struct formats_reader *reader,
                               const json_t *value,
                               struct ma_snapshot_doc **ret) {
    const json_t *guests = json_object_get(value, "guests");
    if (json_array_size(guests) > MA_GUESTS_MAX) {
        formats_path_push_key(&reader->path, "guests");
        return formats_fail(reader, -ERANGE, "has more than %u elements", MA_GUESTS_MAX);
    }
    size_t bytes = count_bytes(value);
    ma_autoptr(ma_snapshot_doc) doc = calloc(1, bytes);
    if (doc == NULL) {
        return formats_fail(reader, -ENOMEM, "no memory for %zu bytes", bytes);
    }
    reader->arena.at = (char *) (doc + 1);
    reader->arena.end = (char *) doc + bytes;
    ma_settings_init(&doc->snapshot.settings);
    int r = formats_read_object(reader, &ma_fields_snapshot, value, true, &doc->snapshot);
    if (r < 0) {
        return r;
    }
    sort_all(&doc->snapshot);
    r = check_whole(reader, &doc->snapshot, value);
    if (r < 0) {
        return r;
    }
    *ret = ma_steal(&doc);
    return 0;
}

int ma_formats_read_snapshot(const char *text,
                             size_t len,
                             struct ma_snapshot_doc **ret,
                             struct ma_err *err) {
    struct formats_reader reader = {0};
    struct ma_err scratch;
    reader.err = err != NULL ? err : &scratch;
    formats_auto_json json_t *root = formats_parse(text, len, reader.err);
    return root == NULL ? reader.err->code : formats_read_snapshot_tree(&reader, root, ret);
}
