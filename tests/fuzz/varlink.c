/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* varlink.c - any bytes from a client: whole messages come out, calls or errors with words. */
#include "varlink.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_call(const struct ma_varlink_call *call) {
    char text[64];
    uint64_t number = 0;
    if (call->method[0] == '\0' || strlen(call->method) >= sizeof(call->method)) {
        abort();
    }
    int r = ma_varlink_get_text(call, "guest", text, sizeof(text));
    if (r == 0 && strlen(text) >= sizeof(text)) {
        abort();
    }
    if (ma_varlink_get_u64(call, "usec", 1000, &number) == 0 && number > 1000) {
        abort();
    }
    (void) ma_varlink_unknown_parameter(call, "guest usec");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data;
    for (size_t at = 0; at < size;) {
        size_t message = ma_varlink_message_size(text + at, size - at);
        size_t len = message > 0 ? message - 1 : size - at;
        struct ma_varlink_call call;
        struct ma_err err = {0};
        int r = ma_varlink_parse_call(text + at, len, &call, &err);
        if (r == 0) {
            use_call(&call);
            ma_varlink_call_fini(&call);
        } else if (err.message[0] == '\0') {
            abort();
        }
        at += message > 0 ? message : len;
    }
    return 0;
}
