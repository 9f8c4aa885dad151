/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* events.c - events as values. A known name with data of a wrong shape is delivered as OTHER with its line: nobody then
 * acts on half an event, and nothing is hidden. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "decode.h"

static int decode_nothing(const json_t *data, struct qmp_event *e) {
    (void) data;
    (void) e;
    return 0;
}

static int decode_reason(const json_t *data, struct qmp_event *e) {
    /* "reason" came with QEMU 4.0 for both events; "guest" is older. */
    (void) qmp_json_text(json_object_get(data, "reason"), e->text, sizeof(e->text));
    return qmp_json_bool(json_object_get(data, "guest"), &e->by_guest);
}

static int decode_balloon_change(const json_t *data, struct qmp_event *e) {
    return qmp_decode_actual(data, &e->balloon);
}

static int decode_size_change(const json_t *data, struct qmp_event *e) {
    (void) qmp_json_text(json_object_get(data, "id"), e->id, sizeof(e->id));
    int r = qmp_json_text(json_object_get(data, "qom-path"), e->path, sizeof(e->path));
    return r < 0 ? r : qmp_json_bytes(json_object_get(data, "size"), &e->size_bytes);
}

static int decode_deleted(const json_t *data, struct qmp_event *e) {
    (void) qmp_json_text(json_object_get(data, "device"), e->id, sizeof(e->id));
    return qmp_json_text(json_object_get(data, "path"), e->path, sizeof(e->path));
}

static int decode_vserport(const json_t *data, struct qmp_event *e) {
    int r = qmp_json_text(json_object_get(data, "id"), e->id, sizeof(e->id));
    return r < 0 ? r : qmp_json_bool(json_object_get(data, "open"), &e->is_open);
}

static int decode_migration(const json_t *data, struct qmp_event *e) {
    return qmp_json_text(json_object_get(data, "status"), e->text, sizeof(e->text));
}

static const struct {
    const char *name;
    int (*decode)(const json_t *data, struct qmp_event *e);
} kinds[] = {
    [QMP_EVENT_OTHER] = {"", decode_nothing},
    [QMP_EVENT_STOP] = {"STOP", decode_nothing},
    [QMP_EVENT_RESUME] = {"RESUME", decode_nothing},
    [QMP_EVENT_RESET] = {"RESET", decode_reason},
    [QMP_EVENT_SHUTDOWN] = {"SHUTDOWN", decode_reason},
    [QMP_EVENT_POWERDOWN] = {"POWERDOWN", decode_nothing},
    [QMP_EVENT_SUSPEND] = {"SUSPEND", decode_nothing},
    [QMP_EVENT_SUSPEND_DISK] = {"SUSPEND_DISK", decode_nothing},
    [QMP_EVENT_WAKEUP] = {"WAKEUP", decode_nothing},
    [QMP_EVENT_BALLOON_CHANGE] = {"BALLOON_CHANGE", decode_balloon_change},
    [QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE] = {"MEMORY_DEVICE_SIZE_CHANGE", decode_size_change},
    [QMP_EVENT_DEVICE_DELETED] = {"DEVICE_DELETED", decode_deleted},
    [QMP_EVENT_VSERPORT_CHANGE] = {"VSERPORT_CHANGE", decode_vserport},
    [QMP_EVENT_MIGRATION] = {"MIGRATION", decode_migration},
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == QMP_EVENT_COUNT, "an event lacks its row");

/* A clock that QEMU could not read is given as -1; the event is good without. */
static uint64_t timestamp_of(const json_t *root) {
    const json_t *t = json_object_get(root, "timestamp");
    uint64_t sec = 0;
    uint64_t usec = 0;
    if (qmp_json_u64(json_object_get(t, "seconds"), UINT32_MAX, &sec) < 0 ||
        qmp_json_u64(json_object_get(t, "microseconds"), MA_USEC_PER_SEC - 1, &usec) < 0) {
        return 0;
    }
    return sec * MA_USEC_PER_SEC + usec;
}

int qmp_decode_event(const json_t *root, const char *line, size_t length, struct qmp_event *ret) {
    const json_t *name = json_object_get(root, "event");
    struct qmp_event blank = {.name = json_string_value(name), .line = line, .line_length = length};
    if (blank.name == NULL) {
        return -EPROTO;
    }
    blank.timestamp_usec = timestamp_of(root);
    *ret = blank;
    for (unsigned i = QMP_EVENT_OTHER + 1; i < QMP_EVENT_COUNT; i++) {
        if (strcmp(blank.name, kinds[i].name) != 0) {
            continue;
        }
        ret->kind = (enum qmp_event_kind) i;
        if (kinds[i].decode(json_object_get(root, "data"), ret) < 0) {
            *ret = blank;
        }
        break;
    }
    return 0;
}
