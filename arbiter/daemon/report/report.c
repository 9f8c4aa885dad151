/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "json-write.h"

#define MESSAGE_MAX 512
#define FIELDS_MAX  2048
/* a message, a name and a dozen short members; well below MA_CONTROL_EVENT_MAX */
#define EVENT_MAX 3072

const char *ma_report_message_id(enum ma_action action) {
    static const char *const ids[MA_ACTION_COUNT] = {
        [MA_ACTION_BALLOON] = MA_MESSAGE_BALLOON,     [MA_ACTION_RESIZE] = MA_MESSAGE_RESIZE,
        [MA_ACTION_RECLAIM] = MA_MESSAGE_RECLAIM,     [MA_ACTION_PAUSE] = MA_MESSAGE_PAUSE,
        [MA_ACTION_SAVE] = MA_MESSAGE_SAVE,           [MA_ACTION_SHUTDOWN] = MA_MESSAGE_SHUTDOWN,
        [MA_ACTION_KILL] = MA_MESSAGE_KILL,           [MA_ACTION_RESUME] = MA_MESSAGE_RESUME,
        [MA_ACTION_EXHAUSTED] = MA_MESSAGE_EXHAUSTED, [MA_ACTION_REBALANCE] = MA_MESSAGE_REBALANCE,
    };
    return action < MA_ACTION_COUNT && ids[action] != NULL ? ids[action] : MA_MESSAGE_BALLOON;
}

/* Fields packed as "NAME=value\0", as the writer hands them to the journal. */
struct packed {
    char *buf;
    size_t len, size;
};

static void pack(struct packed *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void pack(struct packed *p, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(p->buf + p->len, p->size - p->len, format, ap);
    va_end(ap);
    if (n >= 0 && (size_t) n < p->size - p->len) {
        p->len += (size_t) n + 1; /* with its NUL; a field that does not fit is left out */
    }
}

static void to_journal(struct ma_daemon *d, const struct ma_report *r, const char *message) {
    char *block = malloc(FIELDS_MAX);
    if (block == NULL) {
        return;
    }
    struct packed p = {.buf = block, .size = FIELDS_MAX};
    pack(&p, "MESSAGE=%s", message);
    pack(&p, "PRIORITY=%d", (int) r->level);
    pack(&p, "MESSAGE_ID=%s", r->message_id);
    pack(&p, "MA_KIND=%s", r->kind);
    pack(&p, "MA_SNAPSHOT_SEQ=%llu", (unsigned long long) d->state.seq);
    if (r->uuid != NULL) {
        pack(&p, "MA_GUEST_UUID=%s", r->uuid);
        pack(&p, "MA_GUEST_NAME=%s", r->name != NULL ? r->name : "");
    }
    if (r->has_action) {
        pack(&p, "MA_ACTION=%s", ma_action_name(r->action));
    }
    if (r->reason != MA_REASON_NONE) {
        pack(&p, "MA_REASON=%s", ma_reason_name(r->reason));
    }
    if (r->has_from_to) {
        pack(&p, "MA_FROM_BYTES=%llu", (unsigned long long) r->from_bytes);
        pack(&p, "MA_TO_BYTES=%llu", (unsigned long long) r->to_bytes);
    }
    if (r->impact != 0) {
        pack(&p, "MA_IMPACT=%llu", (unsigned long long) r->impact);
    }
    if (r->result != NULL) {
        pack(&p, "MA_RESULT=%s", r->result);
    }
    pack(&p, "MA_POLICY=%s", d->policy->name);
    ma_writer_journal(d->writer, block, p.len);
}

static void to_subscribers(struct ma_daemon *d, const struct ma_report *r, const char *message) {
    char text[EVENT_MAX];
    struct ma_json json;
    if (d->control == NULL) {
        return;
    }
    ma_json_init(&json, text, sizeof(text));
    ma_json_object(&json, NULL);
    ma_json_string(&json, "kind", r->kind);
    ma_json_u64(&json, "seq", d->state.seq);
    ma_json_u64(&json, "realtime_usec", ma_realtime_usec());
    ma_json_string(&json, "guest", r->uuid);
    ma_json_string(&json, "name", r->uuid != NULL ? r->name : NULL);
    ma_json_string(&json, "action", r->has_action ? ma_action_name(r->action) : NULL);
    ma_json_string(&json, "reason", r->reason != MA_REASON_NONE ? ma_reason_name(r->reason) : NULL);
    if (r->has_from_to) {
        ma_json_u64(&json, "from_bytes", r->from_bytes);
        ma_json_u64(&json, "to_bytes", r->to_bytes);
    }
    if (r->impact != 0) {
        ma_json_u64(&json, "impact", r->impact);
    }
    ma_json_string(&json, "result", r->result);
    ma_json_string(&json, "level", ma_log_level_name(r->level));
    ma_json_string(&json, "message", message);
    ma_json_end_object(&json);
    if (!json.is_truncated) {
        ma_control_event(d->control, text, json.len);
    }
}

void ma_report(struct ma_daemon *d, const struct ma_report *report, const char *format, ...) {
    char message[MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    to_journal(d, report, message);
    to_subscribers(d, report, message);
}
