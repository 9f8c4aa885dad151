/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* client-internal.h - the client's inside, shared by client.c, connect.c, inflight.c, commands.c, explore.c. */

#include "decode.h"
#include "qmp.h"
#include "wire.h"

#define QMP_REASON_MAX 192U

enum qmp_command {
    QMP_COMMAND_CAPABILITIES, /* the client's own */
    QMP_COMMAND_QUERY_STATUS,
    QMP_COMMAND_QUERY_VERSION,
    QMP_COMMAND_QUERY_UUID,
    QMP_COMMAND_QUERY_NAME,
    QMP_COMMAND_QUERY_BALLOON,
    QMP_COMMAND_BALLOON,
    QMP_COMMAND_GET_STATS,
    QMP_COMMAND_GET_INTERVAL,
    QMP_COMMAND_SET_INTERVAL,
    QMP_COMMAND_MEMORY_SIZE,
    QMP_COMMAND_MEMDEV,
    QMP_COMMAND_MEMORY_DEVICES,
    QMP_COMMAND_RESIZE,
    QMP_COMMAND_STOP,
    QMP_COMMAND_CONT,
    QMP_COMMAND_POWERDOWN,
    QMP_COMMAND_QUIT,
    QMP_COMMAND_EXECUTE,
    QMP_COMMAND_FIND_DEVICES, /* from here on: several commands, see explore.c */
    QMP_COMMAND_GET_BACKEND,
    QMP_COMMAND_COUNT
};

enum qmp_slot_use {
    QMP_SLOT_FREE,
    QMP_SLOT_ACTIVE,
    QMP_SLOT_ABANDONED, /* completed with TIMEOUT, on the wire: its late answer will be dropped */
};
struct qmp_slot {
    uint64_t id;
    void (*done)(void *userdata, const struct qmp_result *result);
    void *userdata;
    struct qmp_explore *explore; /* owned; NULL for a single command */
    uint64_t called_usec, deadline_usec;
    uint64_t position; /* of its first byte, as qmp_out counts */
    uint32_t length;
    enum qmp_command command;
    enum qmp_slot_use use;
};

struct qmp_client {
    const struct qmp_ops *ops;
    void *userdata;
    struct qmp_options options;
    char *path; /* owned; NULL: adopted */
    int fd;
    short polled; /* what on_poll said last */
    enum qmp_state state;
    unsigned depth; /* public functions on the stack; 0 when nothing can be pulled away under one */
    unsigned epoch; /* counts connections, so that a loop notices that its own is gone */
    int send_error; /* the socket refused bytes: the next dispatch ends the connection */
    bool is_doomed; /* destroyed inside a callback */
    bool is_corked; /* commands are written down and not sent yet */
    uint64_t now_usec; /* the latest that the caller said */
    uint64_t state_deadline_usec;
    uint64_t backoff_usec; /* of the last failure; 0 = none */
    uint64_t ready_usec;   /* since when READY; 0 = not reached */
    uint64_t next_id;      /* never falls, so no connection knows another's */
    struct qmp_version version;
    struct qmp_counters counters;
    struct qmp_lines lines;
    struct qmp_slot slots[QMP_INFLIGHT_MAX];
    char reason[QMP_REASON_MAX];
    struct qmp_out out;
};

/* client.c: brackets of every function that can run a callback. After leave() the client may be gone. */
void qmp_client_enter(struct qmp_client *c, uint64_t now_usec);
void qmp_client_leave(struct qmp_client *c);
void qmp_client_update_poll(struct qmp_client *c);
/* Inside a dispatch, after any callback: the connection of `epoch` is still there. */
bool qmp_client_is_same(const struct qmp_client *c, unsigned epoch);

/* connect.c */
void qmp_client_set_state(struct qmp_client *c, enum qmp_state state, const char *reason);
void qmp_client_finish_connect(struct qmp_client *c);
void qmp_client_try_connect(struct qmp_client *c);
/* The connection failed or ended: WAITING or CLOSED. */
void qmp_client_lose(struct qmp_client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void qmp_client_become_ready(struct qmp_client *c);

/* inflight.c */
struct qmp_slot *qmp_inflight_take(struct qmp_client *c);
struct qmp_slot *qmp_inflight_find(struct qmp_client *c, uint64_t id);
/* Frees the slot, then tells its owner. result->command and took_usec are filled in here. */
void qmp_inflight_complete(struct qmp_client *c, struct qmp_slot *slot, struct qmp_result *result);
void qmp_inflight_expire(struct qmp_client *c);
/* sent_total: how far the lost connection had come. */
void qmp_inflight_fail_all(struct qmp_client *c, uint64_t sent_total, const char *reason);
uint64_t qmp_inflight_deadline(const struct qmp_client *c);
/* An answer: a "return" or an "error". */
void qmp_inflight_reply(struct qmp_client *c, const json_t *root, const char *line, size_t length);

/* commands.c */
const char *qmp_command_name(enum qmp_command command);
qmp_decode_fn qmp_command_decoder(enum qmp_command command);
/* Puts one command with a new id into the queue, for slot, and sends. -ENOBUFS: no room, nothing happened. */
int qmp_command_send(struct qmp_client *c, struct qmp_slot *slot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* explore.c: the calls that need several commands. */
struct qmp_explore;
/* NULL: no memory. */
struct qmp_explore *qmp_explore_create(const char *id);
/* root: the answer to the last step. 0: the next step was sent; 1: finished, *ret_reply is the explorer's, until
 * qmp_explore_destroy(); negative: failed, *err. */
int qmp_explore_step(struct qmp_client *c,
                     struct qmp_slot *slot,
                     const json_t *root,
                     const union qmp_reply **ret_reply,
                     struct ma_err *err);
void qmp_explore_destroy(struct qmp_explore *explore);
