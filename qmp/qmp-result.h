/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-result.h - how a call ends, and events; included by qmp.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qmp-types.h"

enum qmp_outcome {
    QMP_DONE,
    QMP_ERROR,     /* QEMU refused: error_class, text */
    QMP_BAD_REPLY, /* QEMU agreed, but its answer is not of the documented shape: text */
    QMP_TIMEOUT, /* the deadline passed; the command may yet be carried out, unless was_not_sent */
    QMP_CLOSED,  /* the connection ended first; whether it was carried out is not known */
};
enum qmp_error_class {
    QMP_CLASS_NONE,
    QMP_CLASS_GENERIC,
    QMP_CLASS_COMMAND_NOT_FOUND,
    QMP_CLASS_DEVICE_NOT_ACTIVE, /* query-balloon, balloon: there is no balloon */
    QMP_CLASS_DEVICE_NOT_FOUND,
    QMP_CLASS_KVM_MISSING_CAP,
    QMP_CLASS_OTHER,
};
union qmp_reply {
    struct qmp_status status;
    struct qmp_version version;
    char uuid[QMP_NAME_MAX];
    char name[QMP_PATH_MAX];
    struct qmp_balloon balloon;
    struct qmp_guest_stats stats;
    uint64_t interval_sec;
    struct qmp_devices devices;
    struct qmp_memory_size memory_size;
    struct qmp_memdevs memdevs;
    struct qmp_backend backend;
    struct qmp_memory_devices memory_devices;
};
/* Borrowed by `done` for the call. */
struct qmp_result {
    enum qmp_outcome outcome;
    enum qmp_error_class error_class;
    const char *command; /* "query-balloon" ..., static text; for qmp_execute() "execute" */
    const char *text;    /* for a person: what went wrong; "" when DONE */
    uint64_t took_usec;  /* from the call to the completion */
    bool was_not_sent;   /* TIMEOUT, CLOSED: no byte of it has left, so it was not carried out */
    const union qmp_reply *reply; /* NULL unless DONE and the call has one */
    const char *line;             /* the answer as received (terminated); NULL if there was none */
    size_t line_length;
};
struct qmp_call {
    void (*done)(void *userdata, const struct qmp_result *result); /* NULL: nobody wants to know */
    void *userdata;
    uint64_t now_usec;
    uint64_t deadline_usec; /* absolute; 0 = now + qmp_options.command_timeout_usec */
};

enum qmp_event_kind {
    QMP_EVENT_OTHER,
    QMP_EVENT_STOP,
    QMP_EVENT_RESUME,
    QMP_EVENT_RESET,    /* by_guest, text: reason */
    QMP_EVENT_SHUTDOWN, /* by_guest, text: reason */
    QMP_EVENT_POWERDOWN,
    QMP_EVENT_SUSPEND,
    QMP_EVENT_SUSPEND_DISK,
    QMP_EVENT_WAKEUP,
    QMP_EVENT_BALLOON_CHANGE,            /* balloon */
    QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE, /* id, path, size_bytes */
    QMP_EVENT_DEVICE_DELETED,            /* id ("" if it had none), path */
    QMP_EVENT_VSERPORT_CHANGE,           /* id, is_open */
    QMP_EVENT_MIGRATION,                 /* text: status */
    QMP_EVENT_COUNT
};
/* A field that an event of its kind lacks or has in a wrong type makes the whole event QMP_EVENT_OTHER. */
struct qmp_event {
    enum qmp_event_kind kind;
    const char *name;        /* as QEMU said it */
    uint64_t timestamp_usec; /* QEMU's wall clock, 0 = not said */
    struct qmp_balloon balloon;
    uint64_t size_bytes;
    bool by_guest, is_open;
    char id[QMP_NAME_MAX];
    char path[QMP_PATH_MAX];
    char text[QMP_NAME_MAX];
    const char *line; /* as received, terminated */
    size_t line_length;
};
