/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* err.h - what an edge says to a person: a code, what went wrong, what to do. Core and policies use reason codes. */

#define MA_ERR_MESSAGE_MAX 512

struct ma_err {
    int code; /* negative errno, 0 = none */
    char message[MA_ERR_MESSAGE_MAX];
};

/* Fills *err (may be NULL) and returns code, so that `return ma_err_set(err, -EINVAL, "...")` is one expression. */
int ma_err_set(struct ma_err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the message; one call a layer. Returns err->code. */
int ma_err_prefix(struct ma_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
