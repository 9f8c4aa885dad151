/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-decode.c - every typed decoder on every object: no crash, and what is let in is within its bounds. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}
static void check_stats(const struct qmp_guest_stats *s) {
    must((s->present & s->absurd) == 0);
    for (unsigned i = 0; i < QMP_STAT_COUNT; i++) {
        must(s->value[i] <= MA_BYTES_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const qmp_decode_fn decoders[] = {
        qmp_decode_status,  qmp_decode_version,  qmp_decode_uuid,    qmp_decode_name,
        qmp_decode_balloon, qmp_decode_interval, qmp_decode_memdevs, qmp_decode_memory_devices,
    };
    union qmp_reply reply;
    struct qmp_event event;
    struct ma_err err;
    json_t *root = qmp_json_parse((const char *) data, size, &err);
    if (root == NULL) {
        must(memchr(err.message, '\0', sizeof(err.message)) != NULL);
        return 0;
    }
    const json_t *value = json_object_get(root, "return");
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++) {
        (void) decoders[i](value, &reply, &err);
    }
    if (qmp_decode_stats(value, &reply, &err) == 0) {
        check_stats(&reply.stats);
    }
    if (qmp_decode_memory_size(value, &reply, &err) == 0) {
        must(reply.memory_size.base_bytes <= MA_BYTES_MAX);
    }
    if (qmp_decode_event(root, "", 0, &event) == 0) {
        must(event.kind < QMP_EVENT_COUNT && event.size_bytes <= MA_BYTES_MAX);
    }
    json_decref(root);
    return 0;
}
