/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* request.c - the host's lines: how often it wants to hear, and what it is about to take. */
#include <errno.h>

#include "codec-internal.h"
#include "protocol.h"

#define FIELD(name, member, min, max)                                                              \
    { name, min, max, offsetof(struct mag_request, member), MAG_U64, 0 }
#define HEAD FIELD("token", token, 1, MAG_COUNT_MAX), FIELD("now", now_usec, 0, MAG_COUNT_MAX)

static const struct mag_field rate_fields[] = {
    HEAD,
    FIELD("fastest_msec", fastest_msec, MAG_INTERVAL_MIN_MSEC, MAG_INTERVAL_MAX_MSEC),
    FIELD("slowest_msec", slowest_msec, MAG_INTERVAL_MIN_MSEC, MAG_INTERVAL_MAX_MSEC),
};

static const struct mag_field squeeze_fields[] = {
    HEAD,
    FIELD("id", id, 1, MAG_COUNT_MAX),
    FIELD("target", target_bytes, 0, MA_BYTES_MAX),
    FIELD("take", take_bytes, 0, MA_BYTES_MAX),
    FIELD("deadline_msec", deadline_msec, 0, MAG_DEADLINE_MAX_MSEC),
};

static const struct mag_form forms[MAG_REQUEST_COUNT] = {
    [MAG_REQUEST_RATE] = {"rate", rate_fields, MAG_N_ELEMENTS(rate_fields)},
    [MAG_REQUEST_SQUEEZE] = {"squeeze", squeeze_fields, MAG_N_ELEMENTS(squeeze_fields)},
};

size_t mag_request_format(const struct mag_request *request, char buf[MAG_LINE_MAX]) {
    return mag_codec_write(&forms[request->kind], request, 0, buf);
}

int mag_request_parse(const char *line, size_t length, struct mag_request *ret) {
    struct mag_cursor cursor = {line, line + length};
    struct mag_request request = {.kind = MAG_REQUEST_RATE};
    size_t kind;
    uint32_t has;
    int r = mag_codec_open(&cursor, forms, MAG_REQUEST_COUNT, &kind);
    if (r == 0) {
        r = mag_codec_read(&cursor, &forms[kind], &request, &has);
    }
    if (r < 0) {
        return r;
    }
    if (request.fastest_msec > request.slowest_msec) {
        return -ERANGE;
    }
    request.kind = (enum mag_request_kind) kind;
    *ret = request;
    return 0;
}
