/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-source.h - guests reached over their own QMP monitor: QEMUs that dial in to memarbd's one listening socket, and
 * existing monitor sockets found by glob (hosts without libvirt).
 *
 * All on the loop thread. One epoll descriptor stands for the listener and every peer; messages are delivered through
 * on_message from inside ma_qmp_source_dispatch(). Who a peer is, is asked of the loop by its process id (SO_PEERCRED),
 * never of the peer. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "actuator.h"
#include "err.h"
#include "guest-source.h"

struct ma_qmp_source;

enum ma_qmp_source_mode {
    MA_QMP_SOURCE_DEDICATED,   /* keeps the monitor: fastest, but a monitor serves one client */
    MA_QMP_SOURCE_PER_COMMAND, /* lets go after each exchange, for hosts whose own tools share it */
};

struct ma_qmp_source_config {
    const char *listen_path;  /* NULL or "": no listener */
    uid_t listen_uid;         /* owner of the socket: the user that QEMUs run as */
    const char *const *globs; /* of existing monitor sockets */
    size_t n_globs;
    enum ma_qmp_source_mode mode; /* for the globbed ones */
    size_t max_peers;
    uint64_t poll_usec;     /* between two figures of a guest */
    uint64_t deadline_usec; /* of one command */
    /* May set the statistics period of a balloon where nobody did (put back by destroy). */
    bool may_touch;
};

struct ma_qmp_source_ops {
    void *userdata;
    void (*on_message)(void *userdata, const struct ma_source_message *message);
    /* Names the guest of that process: 0 and uuid, name; -EAGAIN: not known yet, ask again; other: refuse the peer. */
    int (*identify)(void *userdata,
                    pid_t pid,
                    char uuid[MA_SOURCE_UUID_MAX],
                    char name[MA_SOURCE_NAME_MAX]);
};

int ma_qmp_source_create(const struct ma_qmp_source_config *config,
                         const struct ma_qmp_source_ops *ops,
                         struct ma_qmp_source **ret,
                         struct ma_err *err) __attribute__((warn_unused_result));
/* Puts back what was set, as far as the sockets take it at once; closes. NULL is fine. */
void ma_qmp_source_destroy(struct ma_qmp_source *source);

/* epoll descriptor: readable when dispatch has something to do. */
int ma_qmp_source_fd(const struct ma_qmp_source *source);
/* Dispatch at this time at the latest; UINT64_MAX: never. */
uint64_t ma_qmp_source_deadline(const struct ma_qmp_source *source);
void ma_qmp_source_dispatch(struct ma_qmp_source *source, uint64_t now_usec);

void ma_qmp_source_set_poll(struct ma_qmp_source *source, uint64_t poll_usec, uint64_t now_usec);
void ma_qmp_source_set_may_touch(struct ma_qmp_source *source, bool may_touch, uint64_t now_usec);
size_t ma_qmp_source_n_peers(const struct ma_qmp_source *source);
/* Closes the monitor that was taken for that guest's: its process turned out to be another. Not from on_message of that
 * guest's own monitor. */
void ma_qmp_source_drop(struct ma_qmp_source *source, const char *uuid);

/* balloon, resize, pause, resume, shutdown, kill (quit). submit() allocates nothing and, with nothing queued on the
 * peer's socket, is one send(2). Outcomes arrive as MA_SOURCE_OUTCOME. */
const struct ma_actuator *ma_qmp_source_actuator(struct ma_qmp_source *source);
