/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* json.h - one line to a bounded JSON tree, and getters that know what QEMU means by its numbers. Internal. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* The deepest answer that QEMU 7.2 gives to a typed call has 4 levels, query-qmp-schema's 6. Measured. */
#define QMP_JSON_DEPTH_MAX 32U
/* Commas, colons and brackets of a line. jansson spends on the order of 100 bytes on a value (estimate), so this bounds a hostile line of
 * 256 KiB to a few MiB; query-qmp-schema of QEMU 7.2, the longest honest one, has 31,495 in 207,000 bytes. Measured. */
#define QMP_JSON_TOKENS_MAX 65536U

/* A tree to json_decref(), whose root is an object; NULL: *err says why. */
json_t *qmp_json_parse(const char *line, size_t length, struct ma_err *err);

/* Numbers. QEMU prints what it does not know as 2^64 - 1.
 *   0; -ENOENT: v is NULL or null; -ENODATA: 2^63 or more, "not reported"; -EINVAL: no number, or a fraction;
 *   -ERANGE: negative or above max (<= 2^53). */
int qmp_json_u64(const json_t *v, uint64_t max, uint64_t *ret);
/* Bytes: at most 2^50. */
int qmp_json_bytes(const json_t *v, uint64_t *ret_bytes);
/* Any whole number, held at the ends of int64_t; exact to 2^53. 0, -ENOENT, -EINVAL. */
int qmp_json_i64(const json_t *v, int64_t *ret);
int qmp_json_bool(const json_t *v, bool *ret);

/* Copies text: cut at a character's border, control characters become '?'. -EINVAL: no string (dst untouched). */
int qmp_json_text(const json_t *v, char *dst, size_t size);
void qmp_text_copy(char *dst, size_t size, const char *src);
