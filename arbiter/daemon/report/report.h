/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* report.h - one event, told once: to the journal (structured, MESSAGE_ID) and to those who follow `memarbctl events`.
 * Neither waits: the journal is written to by the writer's thread. */

#include <stdbool.h>
#include <stdint.h>

#include "actuator.h"
#include "daemon.h"
#include "message-ids.h"
#include "reason.h"

struct ma_report {
    const char *message_id;
    const char *kind; /* of the event stream: "balloon", "kill", "state", ... */
    enum ma_log_level level;
    const char *uuid; /* NULL: not about a guest */
    const char *name;
    bool has_action;
    enum ma_action action;
    enum ma_reason reason; /* MA_REASON_NONE: none */
    bool has_from_to;
    uint64_t from_bytes, to_bytes;
    uint64_t impact;    /* 0: none */
    const char *result; /* NULL: none */
};
/* The message is a whole sentence for a person; values in it are quoted and bounded by the caller's format. */
void ma_report(struct ma_daemon *d, const struct ma_report *report, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *ma_report_message_id(enum ma_action action);
