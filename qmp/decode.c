/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decode.c - replies about state, balloon and statistics. */
#include "decode.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "bytes.h"

static const char *const run_state_names[] = {
    [QMP_RUN_OTHER] = "",
    [QMP_RUN_RUNNING] = "running",
    [QMP_RUN_PAUSED] = "paused",
    [QMP_RUN_PRELAUNCH] = "prelaunch",
    [QMP_RUN_SHUTDOWN] = "shutdown",
    [QMP_RUN_SUSPENDED] = "suspended",
    [QMP_RUN_IO_ERROR] = "io-error",
    [QMP_RUN_INTERNAL_ERROR] = "internal-error",
    [QMP_RUN_GUEST_PANICKED] = "guest-panicked",
    [QMP_RUN_WATCHDOG] = "watchdog",
    [QMP_RUN_DEBUG] = "debug",
    [QMP_RUN_COLO] = "colo",
    [QMP_RUN_INMIGRATE] = "inmigrate",
    [QMP_RUN_POSTMIGRATE] = "postmigrate",
    [QMP_RUN_FINISH_MIGRATE] = "finish-migrate",
    [QMP_RUN_SAVE_VM] = "save-vm",
    [QMP_RUN_RESTORE_VM] = "restore-vm",
};
static_assert(sizeof(run_state_names) / sizeof(run_state_names[0]) == QMP_RUN_COUNT,
              "a run state lacks its name");

static const char *const stat_names[] = {
    [QMP_STAT_SWAP_IN] = "stat-swap-in",
    [QMP_STAT_SWAP_OUT] = "stat-swap-out",
    [QMP_STAT_MAJOR_FAULTS] = "stat-major-faults",
    [QMP_STAT_MINOR_FAULTS] = "stat-minor-faults",
    [QMP_STAT_FREE] = "stat-free-memory",
    [QMP_STAT_TOTAL] = "stat-total-memory",
    [QMP_STAT_AVAILABLE] = "stat-available-memory",
    [QMP_STAT_DISK_CACHES] = "stat-disk-caches",
    [QMP_STAT_HTLB_PGALLOC] = "stat-htlb-pgalloc",
    [QMP_STAT_HTLB_PGFAIL] = "stat-htlb-pgfail",
};
static_assert(sizeof(stat_names) / sizeof(stat_names[0]) == QMP_STAT_COUNT,
              "a statistic lacks its name");

static int wrong(struct ma_err *err, const char *field) {
    return ma_err_set(err, -EPROTO, "\"%s\" is missing or of a wrong kind", field);
}

int qmp_decode_status(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    struct qmp_status *s = &reply->status;
    if (qmp_json_text(json_object_get(value, "status"), s->text, sizeof(s->text)) < 0) {
        return wrong(err, "status");
    }
    if (qmp_json_bool(json_object_get(value, "running"), &s->is_running) < 0) {
        return wrong(err, "running");
    }
    s->run_state = QMP_RUN_OTHER;
    for (unsigned i = QMP_RUN_OTHER + 1; i < QMP_RUN_COUNT; i++) {
        if (strcmp(s->text, run_state_names[i]) == 0) {
            s->run_state = (enum qmp_run_state) i;
        }
    }
    return 0;
}

static int
decode_number32(const json_t *object, const char *key, uint32_t *ret, struct ma_err *err) {
    uint64_t v = 0;
    if (qmp_json_u64(json_object_get(object, key), UINT32_MAX, &v) < 0) {
        return wrong(err, key);
    }
    *ret = (uint32_t) v;
    return 0;
}

static int decode_version(const json_t *value, struct qmp_version *ret, struct ma_err *err) {
    const json_t *qemu = json_object_get(value, "qemu");
    int r = decode_number32(qemu, "major", &ret->major, err);
    if (r == 0) {
        r = decode_number32(qemu, "minor", &ret->minor, err);
    }
    if (r == 0) {
        r = decode_number32(qemu, "micro", &ret->micro, err);
    }
    ret->package[0] = '\0';
    /* For people only; a version without it is as good. */
    (void) qmp_json_text(json_object_get(value, "package"), ret->package, sizeof(ret->package));
    return r;
}

int qmp_decode_version(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    return decode_version(value, &reply->version, err);
}

int qmp_decode_greeting(const json_t *value, struct qmp_version *ret, struct ma_err *err) {
    return decode_version(json_object_get(value, "version"), ret, err);
}

int qmp_decode_uuid(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    return qmp_json_text(json_object_get(value, "UUID"), reply->uuid, sizeof(reply->uuid)) < 0
               ? wrong(err, "UUID")
               : 0;
}

int qmp_decode_name(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    const json_t *name = json_object_get(value, "name");
    reply->name[0] = '\0';
    if (!json_is_object(value)) {
        return wrong(err, "return");
    }
    if (name != NULL && qmp_json_text(name, reply->name, sizeof(reply->name)) < 0) {
        return wrong(err, "name");
    }
    return 0;
}

int qmp_decode_actual(const json_t *value, struct qmp_balloon *ret) {
    if (qmp_json_i64(json_object_get(value, "actual"), &ret->actual_bytes) < 0) {
        return -EPROTO;
    }
    ret->is_absurd = ret->actual_bytes < 0 || (uint64_t) ret->actual_bytes > MA_BYTES_MAX;
    return 0;
}

int qmp_decode_balloon(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    return qmp_decode_actual(value, &reply->balloon) < 0 ? wrong(err, "actual") : 0;
}

/* One liar's figure costs that figure, not the others. */
static void decode_stat(const json_t *v, unsigned i, struct qmp_guest_stats *stats) {
    int r = qmp_json_u64(v, MA_BYTES_MAX, &stats->value[i]);
    if (r == 0) {
        stats->present |= 1U << i;
    } else if (r != -ENOENT && r != -ENODATA) {
        stats->absurd |= 1U << i;
    }
}

int qmp_decode_stats(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    struct qmp_guest_stats *s = &reply->stats;
    const json_t *stats = json_object_get(value, "stats");
    memset(s, 0, sizeof(*s));
    if (!json_is_object(stats)) {
        return wrong(err, "stats");
    }
    for (unsigned i = 0; i < QMP_STAT_COUNT; i++) {
        decode_stat(json_object_get(stats, stat_names[i]), i, s);
    }
    if (qmp_json_u64(json_object_get(value, "last-update"), MA_BYTES_MAX, &s->last_update_sec) <
        0) {
        return wrong(err, "last-update");
    }
    return 0;
}

int qmp_decode_interval(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    return qmp_json_u64(value, UINT32_MAX, &reply->interval_sec) < 0 ? wrong(err, "return") : 0;
}

enum qmp_error_class qmp_decode_error_class(const char *name) {
    static const struct {
        const char *name;
        enum qmp_error_class error_class;
    } classes[] = {
        {"GenericError", QMP_CLASS_GENERIC},
        {"CommandNotFound", QMP_CLASS_COMMAND_NOT_FOUND},
        {"DeviceNotActive", QMP_CLASS_DEVICE_NOT_ACTIVE},
        {"DeviceNotFound", QMP_CLASS_DEVICE_NOT_FOUND},
        {"KVMMissingCap", QMP_CLASS_KVM_MISSING_CAP},
    };
    for (size_t i = 0; name != NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(name, classes[i].name) == 0) {
            return classes[i].error_class;
        }
    }
    return QMP_CLASS_OTHER;
}
