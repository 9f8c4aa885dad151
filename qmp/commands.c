/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* commands.c - the calls: checked, formatted into the client's own buffer, sent at once. To add one: a value in enum
 * qmp_command, a row in the table, a function here, a decoder in decode*.c, a case in the contract tests.
 *
 * vsnprintf() with plain %s and %llu allocates nothing in glibc; names are checked to need no escape in JSON. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "client-internal.h"

static const struct {
    const char *name;
    qmp_decode_fn decode; /* NULL: nothing in the answer is of interest */
} commands[] = {
    [QMP_COMMAND_CAPABILITIES] = {"qmp_capabilities", NULL},
    [QMP_COMMAND_QUERY_STATUS] = {"query-status", qmp_decode_status},
    [QMP_COMMAND_QUERY_VERSION] = {"query-version", qmp_decode_version},
    [QMP_COMMAND_QUERY_UUID] = {"query-uuid", qmp_decode_uuid},
    [QMP_COMMAND_QUERY_NAME] = {"query-name", qmp_decode_name},
    [QMP_COMMAND_QUERY_BALLOON] = {"query-balloon", qmp_decode_balloon},
    [QMP_COMMAND_BALLOON] = {"balloon", NULL},
    [QMP_COMMAND_GET_STATS] = {"qom-get guest-stats", qmp_decode_stats},
    [QMP_COMMAND_GET_INTERVAL] = {"qom-get guest-stats-polling-interval", qmp_decode_interval},
    [QMP_COMMAND_SET_INTERVAL] = {"qom-set guest-stats-polling-interval", NULL},
    [QMP_COMMAND_MEMORY_SIZE] = {"query-memory-size-summary", qmp_decode_memory_size},
    [QMP_COMMAND_MEMDEV] = {"query-memdev", qmp_decode_memdevs},
    [QMP_COMMAND_MEMORY_DEVICES] = {"query-memory-devices", qmp_decode_memory_devices},
    [QMP_COMMAND_RESIZE] = {"qom-set requested-size", NULL},
    [QMP_COMMAND_STOP] = {"stop", NULL},
    [QMP_COMMAND_CONT] = {"cont", NULL},
    [QMP_COMMAND_POWERDOWN] = {"system_powerdown", NULL},
    [QMP_COMMAND_QUIT] = {"quit", NULL},
    [QMP_COMMAND_EXECUTE] = {"execute", NULL},
    [QMP_COMMAND_FIND_DEVICES] = {"find devices", NULL},
    [QMP_COMMAND_GET_BACKEND] = {"get backend", NULL},
};
static_assert(sizeof(commands) / sizeof(commands[0]) == QMP_COMMAND_COUNT,
              "a command lacks its row");

const char *qmp_command_name(enum qmp_command command) {
    return commands[command].name;
}

qmp_decode_fn qmp_command_decoder(enum qmp_command command) {
    return commands[command].decode;
}

/* {"execute":FORMAT,"id":N} and a newline behind what is queued. Length, or -ENOBUFS. */
static int __attribute__((format(printf, 3, 0)))
format_command(struct qmp_out *out, uint64_t id, const char *format, va_list ap) {
    static const char head[] = "{\"execute\":";
    size_t room = sizeof(out->buf) - out->used;
    char *at = out->buf + out->used;
    if (room < sizeof(head)) {
        return -ENOBUFS;
    }
    memcpy(at, head, sizeof(head));
    size_t n = sizeof(head) - 1;
    int r = vsnprintf(at + n, room - n, format, ap);
    if (r < 0 || (size_t) r >= room - n) {
        return -ENOBUFS;
    }
    n += (size_t) r;
    r = snprintf(at + n, room - n, ",\"id\":%llu}\n", (unsigned long long) id);
    if (r < 0 || (size_t) r >= room - n) {
        return -ENOBUFS;
    }
    return (int) n + r;
}

int qmp_command_send(struct qmp_client *c, struct qmp_slot *slot, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    int length = format_command(&c->out, c->next_id, format, ap);
    va_end(ap);
    if (length < 0) {
        return length;
    }
    bool was_empty = c->out.used == 0;
    slot->id = c->next_id++;
    slot->position = c->out.sent_total + c->out.used;
    slot->length = (uint32_t) length;
    c->out.used += (size_t) length;
    c->counters.commands++;
    /* Behind a queue there is no point in trying: the socket was full. */
    if (was_empty && !c->is_corked) {
        c->send_error = qmp_out_flush(&c->out, c->fd);
    }
    return 0;
}

/* A slot for an accepted call; *ret is untouched otherwise. */
static int begin(struct qmp_client *c,
                 const struct qmp_call *call,
                 enum qmp_command command,
                 struct qmp_slot **ret) {
    uint64_t deadline = call->deadline_usec > 0
                            ? call->deadline_usec
                            : ma_add_sat(call->now_usec, c->options.command_timeout_usec);
    if (c->state != QMP_STATE_READY || c->is_doomed) {
        return -ENOTCONN;
    }
    if (deadline <= call->now_usec) {
        return -EINVAL;
    }
    struct qmp_slot *slot = qmp_inflight_take(c);
    if (slot == NULL) {
        return -EBUSY;
    }
    slot->command = command;
    slot->done = call->done;
    slot->userdata = call->userdata;
    slot->called_usec = call->now_usec;
    slot->deadline_usec = deadline;
    *ret = slot;
    return 0;
}

/* The end of every call: r is qmp_command_send()'s. */
static int commit(struct qmp_client *c, struct qmp_slot *slot, int r, uint64_t now_usec) {
    if (r < 0) {
        slot->use = QMP_SLOT_FREE;
        return r;
    }
    qmp_client_enter(c, now_usec);
    qmp_client_update_poll(c);
    qmp_client_leave(c);
    return 0;
}

void qmp_client_cork(struct qmp_client *c) {
    c->is_corked = c->out.used == 0; /* behind a queue they wait anyway */
}

void qmp_client_uncork(struct qmp_client *c, uint64_t now_usec) {
    if (!c->is_corked) {
        return;
    }
    c->is_corked = false;
    qmp_client_enter(c, now_usec);
    if (c->fd >= 0 && c->out.used > 0 && c->send_error == 0) {
        c->send_error = qmp_out_flush(&c->out, c->fd);
    }
    qmp_client_update_poll(c);
    qmp_client_leave(c);
}

static int plain(struct qmp_client *c, const struct qmp_call *call, enum qmp_command command) {
    struct qmp_slot *slot = NULL;
    int r = begin(c, call, command, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot, "\"%s\"", qmp_command_name(command));
    return commit(c, slot, r, call->now_usec);
}

int qmp_query_status(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUERY_STATUS);
}
int qmp_query_version(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUERY_VERSION);
}
int qmp_query_uuid(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUERY_UUID);
}
int qmp_query_name(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUERY_NAME);
}
int qmp_query_balloon(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUERY_BALLOON);
}
int qmp_query_memory_size_summary(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_MEMORY_SIZE);
}
int qmp_query_memdev(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_MEMDEV);
}
int qmp_query_memory_devices(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_MEMORY_DEVICES);
}
int qmp_stop(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_STOP);
}
int qmp_cont(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_CONT);
}
int qmp_system_powerdown(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_POWERDOWN);
}
int qmp_quit(struct qmp_client *c, const struct qmp_call *call) {
    return plain(c, call, QMP_COMMAND_QUIT);
}

int qmp_balloon(struct qmp_client *c, const struct qmp_call *call, uint64_t value_bytes) {
    struct qmp_slot *slot = NULL;
    if (value_bytes == 0 || value_bytes > MA_BYTES_MAX) {
        return -EINVAL;
    }
    int r = begin(c, call, QMP_COMMAND_BALLOON, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot, "\"balloon\",\"arguments\":{\"value\":%llu}",
                         (unsigned long long) value_bytes);
    return commit(c, slot, r, call->now_usec);
}

/* Goes into a JSON string as it is. */
static bool is_plain_text(const char *text, size_t max) {
    size_t n = strnlen(text, max);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char) text[i];
        if (ch < 0x20U || ch > 0x7EU || ch == '"' || ch == '\\') {
            return false;
        }
    }
    return n > 0 && n < max;
}

static int get_property(struct qmp_client *c,
                        const struct qmp_call *call,
                        enum qmp_command command,
                        const char *path,
                        const char *property) {
    struct qmp_slot *slot = NULL;
    if (!is_plain_text(path, QMP_PATH_MAX)) {
        return -EINVAL;
    }
    int r = begin(c, call, command, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot, "\"qom-get\",\"arguments\":{\"path\":\"%s\",\"property\":\"%s\"}",
                         path, property);
    return commit(c, slot, r, call->now_usec);
}

int qmp_get_guest_stats(struct qmp_client *c,
                        const struct qmp_call *call,
                        const char *device_path) {
    return get_property(c, call, QMP_COMMAND_GET_STATS, device_path, "guest-stats");
}
int qmp_get_stats_interval(struct qmp_client *c,
                           const struct qmp_call *call,
                           const char *device_path) {
    return get_property(c, call, QMP_COMMAND_GET_INTERVAL, device_path,
                        "guest-stats-polling-interval");
}

int qmp_set_stats_interval(struct qmp_client *c,
                           const struct qmp_call *call,
                           const char *device_path,
                           uint32_t interval_sec) {
    struct qmp_slot *slot = NULL;
    if (!is_plain_text(device_path, QMP_PATH_MAX)) {
        return -EINVAL;
    }
    int r = begin(c, call, QMP_COMMAND_SET_INTERVAL, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot,
                         "\"qom-set\",\"arguments\":{\"path\":\"%s\","
                         "\"property\":\"guest-stats-polling-interval\",\"value\":%u}",
                         device_path, (unsigned) interval_sec);
    return commit(c, slot, r, call->now_usec);
}

int qmp_resize_virtio_mem(struct qmp_client *c,
                          const struct qmp_call *call,
                          const char *device_path,
                          uint64_t requested_bytes) {
    struct qmp_slot *slot = NULL;
    if (!is_plain_text(device_path, QMP_PATH_MAX) || requested_bytes > MA_BYTES_MAX) {
        return -EINVAL;
    }
    int r = begin(c, call, QMP_COMMAND_RESIZE, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot,
                         "\"qom-set\",\"arguments\":{\"path\":\"%s\","
                         "\"property\":\"requested-size\",\"value\":%llu}",
                         device_path, (unsigned long long) requested_bytes);
    return commit(c, slot, r, call->now_usec);
}

int qmp_execute(struct qmp_client *c,
                const struct qmp_call *call,
                const char *command,
                const char *arguments_json) {
    struct qmp_slot *slot = NULL;
    const char *arguments = arguments_json != NULL ? arguments_json : "{}";
    size_t n = strnlen(command, QMP_EXECUTE_MAX + 1) + strnlen(arguments, QMP_EXECUTE_MAX + 1);
    if (!is_plain_text(command, QMP_PATH_MAX) || n > QMP_EXECUTE_MAX ||
        strpbrk(arguments, "\r\n") != NULL) {
        return -EINVAL;
    }
    int r = begin(c, call, QMP_COMMAND_EXECUTE, &slot);
    if (r < 0) {
        return r;
    }
    r = qmp_command_send(c, slot, "\"%s\",\"arguments\":%s", command, arguments);
    return commit(c, slot, r, call->now_usec);
}

/* The first step of a call of several commands is sent like the next ones, by explore.c, with no answer yet. */
static int begin_explore(struct qmp_client *c,
                         const struct qmp_call *call,
                         enum qmp_command command,
                         const char *id) {
    struct qmp_slot *slot = NULL;
    struct ma_err err;
    int r = begin(c, call, command, &slot);
    if (r < 0) {
        return r;
    }
    slot->explore = qmp_explore_create(id);
    r = slot->explore == NULL ? -ENOMEM : qmp_explore_step(c, slot, NULL, NULL, &err);
    if (r < 0) {
        qmp_explore_destroy(slot->explore);
    }
    return commit(c, slot, r, call->now_usec);
}

int qmp_find_devices(struct qmp_client *c, const struct qmp_call *call) {
    return begin_explore(c, call, QMP_COMMAND_FIND_DEVICES, "");
}

int qmp_get_backend(struct qmp_client *c, const struct qmp_call *call, const char *id) {
    return is_plain_text(id, QMP_NAME_MAX) ? begin_explore(c, call, QMP_COMMAND_GET_BACKEND, id)
                                           : -EINVAL;
}
