/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* varlink.h - the Varlink wire: one JSON object and a NUL byte a message. Pure: bytes in, a call out; no I/O. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Longest message taken from a client. Every call of ours fits 1 KiB; too large lets clients hold memory, too small
 * would refuse a long guest name with all its escapes. */
#define MA_VARLINK_IN_MAX 65536U
/* Nesting of a message; our calls need 3. jansson recurses, so the depth is bounded before it sees the text. */
#define MA_VARLINK_DEPTH_MAX  16U
#define MA_VARLINK_METHOD_MAX 128U

struct ma_varlink_call {
    char method[MA_VARLINK_METHOD_MAX];
    json_t *root;       /* owned: ma_varlink_call_fini */
    json_t *parameters; /* borrowed from root; NULL: none */
    bool is_more;
    bool is_oneway;
};

/* Bytes of the first whole message in buf, NUL included; 0: none is complete yet. */
size_t ma_varlink_message_size(const char *buf, size_t len);
/* len bytes without the NUL. 0, or -EBADMSG with what is wrong. */
int ma_varlink_parse_call(const char *text,
                          size_t len,
                          struct ma_varlink_call *ret_call,
                          struct ma_err *err);
void ma_varlink_call_fini(struct ma_varlink_call *call);

/* Parameters. 0; -ENOENT: absent; -EINVAL: of another type, out of bounds, or (text) too long or holding NUL. */
int ma_varlink_get_text(const struct ma_varlink_call *call,
                        const char *name,
                        char *ret,
                        size_t size);
int ma_varlink_get_u64(const struct ma_varlink_call *call,
                       const char *name,
                       uint64_t max,
                       uint64_t *ret);
/* The first parameter whose name is not among `names` (blank-separated), or NULL. */
const char *ma_varlink_unknown_parameter(const struct ma_varlink_call *call, const char *names);
