/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hook-environment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void add(struct ma_hook_environment *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add(struct ma_hook_environment *e, const char *format, ...) {
    va_list ap;
    if (e->n == MA_HOOK_VARIABLES) {
        return;
    }
    va_start(ap, format);
    (void) vsnprintf(e->text[e->n], MA_HOOK_VARIABLE_MAX, format, ap);
    va_end(ap);
    for (char *c = e->text[e->n]; *c != '\0'; c++) {
        if ((unsigned char) *c < 0x20 || *c == 0x7F) {
            *c = '?';
        }
    }
    e->envp[e->n] = e->text[e->n];
    e->n++;
}

void ma_hook_environment_make(const struct ma_hook_order *order, struct ma_hook_environment *ret) {
    ret->n = 0;
    add(ret, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    add(ret, "MEMARB_PHASE=%s", order->is_after ? "after" : "before");
    add(ret, "MEMARB_ACTION=%s", ma_action_name(order->action));
    add(ret, "MEMARB_GUEST_UUID=%s", order->uuid);
    add(ret, "MEMARB_GUEST_NAME=%s", order->name);
    add(ret, "MEMARB_PRESSURE=%s", ma_pressure_name(order->pressure));
    add(ret, "MEMARB_AVAILABLE_BYTES=%" PRIu64, order->available_bytes);
    add(ret, "MEMARB_TIMEOUT_USEC=%" PRIu64, order->timeout_usec);
    if (!order->is_after) {
        add(ret, "MEMARB_VETO=%s", order->ask != 0 || order->is_heard ? "yes" : "no");
        add(ret, "MEMARB_REASON=%s", ma_reason_name(order->reason));
    } else {
        add(ret, "MEMARB_RESULT=%s", ma_outcome_name(order->result));
        add(ret, "MEMARB_TOOK_USEC=%" PRIu64, order->took_usec);
    }
    if (order->has_from_to) {
        add(ret, "MEMARB_FROM_BYTES=%" PRIu64, order->from_bytes);
        add(ret, "MEMARB_TO_BYTES=%" PRIu64, order->to_bytes);
    }
    ret->envp[ret->n] = NULL;
}
