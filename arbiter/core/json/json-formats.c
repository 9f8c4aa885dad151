/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-formats.c - snapshot, settings and state as the formats' tables say. */
#include "fields.h"
#include "json-write.h"
#include "settings.h"
#include "snapshot.h"
#include "state.h"

#define FORMAT_VERSION 1U

void ma_json_settings(struct ma_json *json, const char *key, const struct ma_settings *settings) {
    ma_json_object(json, key);
    ma_json_fields(json, &ma_fields_settings_whole, settings);
    ma_json_end_object(json);
}

void ma_json_snapshot(struct ma_json *json, const char *key, const struct ma_snapshot *snapshot) {
    ma_json_object(json, key);
    ma_json_u64(json, "version", FORMAT_VERSION);
    ma_json_fields(json, &ma_fields_snapshot, snapshot);
    ma_json_end_object(json);
}

void ma_json_state(struct ma_json *json, const char *key, const struct ma_state *state) {
    ma_json_object(json, key);
    ma_json_u64(json, "version", FORMAT_VERSION);
    ma_json_fields(json, &ma_fields_state, state);
    ma_json_end_object(json);
}
