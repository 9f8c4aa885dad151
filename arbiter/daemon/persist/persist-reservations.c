/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "persist-reservations.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"

static void write_parts(struct ma_json *json, const struct ma_reservation *r) {
    ma_json_array(json, "parts");
    for (uint32_t i = 0; i < r->n_parts; i++) {
        ma_json_object(json, NULL);
        ma_json_u64(json, "bytes", r->parts[i].bytes);
        ma_json_u64(json, "page_bytes", r->parts[i].page_bytes);
        ma_json_u64(json, "node_mask", r->parts[i].node_mask);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

void ma_reservations_write(struct ma_json *json,
                           const char *key,
                           const struct ma_reservations *reservations) {
    ma_json_array(json, key);
    for (size_t i = 0; i < reservations->n; i++) {
        const struct ma_reservation *r = &reservations->items[i];
        ma_json_object(json, NULL);
        ma_json_string(json, "guest", r->uuid);
        ma_json_string(json, "name", r->name);
        ma_json_u64(json, "made_usec", r->made_usec);
        ma_json_u64(json, "expires_usec", r->expires_usec);
        ma_json_u64(json, "hold_usec", r->hold_usec);
        ma_json_u64(json, "least_left_bytes", r->least_left_bytes);
        ma_json_u64(json, "need_bytes", r->need_bytes);
        ma_json_u64(json, "committed_bytes", r->committed_bytes);
        ma_json_u64(json, "pinned_bytes", r->pinned_bytes);
        write_parts(json, r);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static bool read_u64(const json_t *object, const char *key, uint64_t max, uint64_t *ret) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t) number > max) {
        return false;
    }
    *ret = (uint64_t) number;
    return true;
}

static bool read_parts(const json_t *array, struct ma_reservation *r) {
    size_t i;
    const json_t *entry;
    json_array_foreach(array, i, entry) {
        if (r->n_parts == MA_DEMAND_PARTS_MAX) {
            return false;
        }
        struct ma_demand_part *part = &r->parts[r->n_parts++];
        if (!read_u64(entry, "bytes", MA_BYTES_MAX, &part->bytes) ||
            !read_u64(entry, "page_bytes", MA_BYTES_MAX, &part->page_bytes) ||
            !read_u64(entry, "node_mask", INT64_MAX, &part->node_mask)) {
            return false;
        }
    }
    return true;
}

static bool read_one(const json_t *entry, struct ma_reservation *r) {
    const char *uuid = json_string_value(json_object_get(entry, "guest"));
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (uuid == NULL || name == NULL || uuid[0] == '\0' || strlen(uuid) >= sizeof(r->uuid)) {
        return false;
    }
    memcpy(r->uuid, uuid, strlen(uuid) + 1);
    (void) snprintf(r->name, sizeof(r->name), "%s", name);
    /* of an earlier version: its time stands */
    (void) read_u64(entry, "hold_usec", INT64_MAX, &r->hold_usec);
    (void) read_u64(entry, "least_left_bytes", MA_BYTES_MAX, &r->least_left_bytes);
    return read_u64(entry, "made_usec", INT64_MAX, &r->made_usec) &&
           read_u64(entry, "expires_usec", INT64_MAX, &r->expires_usec) &&
           read_u64(entry, "need_bytes", MA_BYTES_MAX, &r->need_bytes) &&
           read_u64(entry, "committed_bytes", MA_BYTES_MAX, &r->committed_bytes) &&
           read_u64(entry, "pinned_bytes", MA_BYTES_MAX, &r->pinned_bytes) &&
           read_parts(json_object_get(entry, "parts"), r);
}

void ma_reservations_read(const json_t *array, struct ma_reservations *ret) {
    size_t i;
    const json_t *entry;
    json_array_foreach(array, i, entry) {
        struct ma_reservation r = {.is_seen = false};
        if (read_one(entry, &r)) {
            ma_reservations_put(ret, &r);
        }
    }
}
