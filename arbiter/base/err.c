/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ma_err_set(struct ma_err *err, int code, const char *format, ...) {
    if (err != NULL) {
        va_list ap;
        va_start(ap, format);
        err->code = code;
        (void) vsnprintf(err->message, sizeof(err->message), format, ap); /* cut is fine */
        va_end(ap);
    }
    return code;
}

int ma_err_prefix(struct ma_err *err, const char *format, ...) {
    char tail[MA_ERR_MESSAGE_MAX];
    if (err == NULL) {
        return 0;
    }
    memcpy(tail, err->message, sizeof(tail));
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(err->message, sizeof(err->message), format, ap);
    va_end(ap);
    if (n >= 0 && (size_t) n + strlen(": ") < sizeof(err->message)) {
        size_t room = sizeof(err->message) - (size_t) n - strlen(": ") - 1;
        (void) snprintf(err->message + n, sizeof(err->message) - (size_t) n, ": %.*s", (int) room,
                        tail);
    }
    return err->code;
}
