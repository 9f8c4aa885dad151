/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* decode.h - what QEMU said, as values. Internal; no I/O, no state. */

#include "json.h"
#include "qmp-result.h"

/* `value` is what stood under "return". 0, or -EPROTO with *err naming the field. reply may be half filled then. */
typedef int (*qmp_decode_fn)(const json_t *value, union qmp_reply *reply, struct ma_err *err);

int qmp_decode_status(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_version(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_uuid(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_name(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_balloon(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_stats(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_interval(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_memory_size(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_memdevs(const json_t *value, union qmp_reply *reply, struct ma_err *err);
int qmp_decode_memory_devices(const json_t *value, union qmp_reply *reply, struct ma_err *err);

/* {"actual": n}, as in query-balloon and in BALLOON_CHANGE. */
int qmp_decode_actual(const json_t *value, struct qmp_balloon *ret);
/* {"version": {...}} of the greeting. */
int qmp_decode_greeting(const json_t *value, struct qmp_version *ret, struct ma_err *err);
enum qmp_error_class qmp_decode_error_class(const char *name);

/* root of a line that has "event"; line is borrowed into *ret. -EPROTO: no name. */
int qmp_decode_event(const json_t *root, const char *line, size_t length, struct qmp_event *ret);
