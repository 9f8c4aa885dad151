/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* json-write.h - a bounded JSON writer into the caller's memory. Pure, allocates nothing; what does not fit sets
 * is_truncated and nothing more is written. Output is compact (no blanks), keys in the order they are given, strings
 * escaped (also invalid UTF-8, replaced by U+FFFD). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MA_JSON_DEPTH_MAX 16

struct ma_json {
    char *buf;
    size_t size; /* of buf */
    size_t len;  /* written so far, without NUL; buf is always NUL-terminated when size > 0 */
    bool is_truncated;
    unsigned depth;
    bool has_element[MA_JSON_DEPTH_MAX];
};
void ma_json_init(struct ma_json *json, char *buf, size_t size);
/* key NULL: an array's element or the document itself. */
void ma_json_object(struct ma_json *json, const char *key);
void ma_json_array(struct ma_json *json, const char *key);
void ma_json_end_object(struct ma_json *json);
void ma_json_end_array(struct ma_json *json);
void ma_json_u64(struct ma_json *json, const char *key, uint64_t value);
void ma_json_i64(struct ma_json *json, const char *key, int64_t value);
void ma_json_bool(struct ma_json *json, const char *key, bool value);
void ma_json_string(struct ma_json *json,
                    const char *key,
                    const char *value); /* NULL value: left out */

struct ma_snapshot;
struct ma_settings;
struct ma_plan;
struct ma_state;
/* The contract's formats. */
void ma_json_settings(struct ma_json *json, const char *key, const struct ma_settings *settings);
void ma_json_snapshot(struct ma_json *json, const char *key, const struct ma_snapshot *snapshot);
void ma_json_plan(struct ma_json *json,
                  const char *key,
                  const struct ma_plan *plan,
                  const struct ma_snapshot *snapshot);
void ma_json_trims(struct ma_json *json,
                   const char *key,
                   const struct ma_plan *plan,
                   const struct ma_snapshot *snapshot);
void ma_json_state(struct ma_json *json, const char *key, const struct ma_state *state);
