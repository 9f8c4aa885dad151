/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* agent-source.h - guests' own agents, over a virtio-serial channel each (docs/protocol.md).
 *
 * All on the loop thread; nothing here blocks. A channel is reached in three ways: the socket of a libvirt domain's
 * <channel>, sockets found by glob, and QEMUs that dial in to one listening socket. Whose channel it is, the kernel
 * says (SO_PEERCRED), never the peer (docs/adr). One descriptor stands for all of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "guest-source.h"

struct ma_agent_source;

/* What a guest says of itself, in the words of a snapshot. Claims: bounded by the host's figures where they are used. */
struct ma_agent_claims {
    /* CLOCK_MONOTONIC of the figures in the guest, as near as can be told; 0: none */
    uint64_t taken_usec;
    struct ma_stats stats; /* without an age */
    struct ma_psi pressure;
    bool is_alarm;       /* its pressure trigger fired */
    bool is_veto;        /* it asks to be spared a squeeze */
    uint64_t squeeze_id; /* the last announcement that it has heard; 0: none */
    bool is_ready;       /* ... and nothing of its runs for that any more */
};

enum ma_agent_link {
    MA_AGENT_LINK_NONE,
    MA_AGENT_LINK_UP,
    MA_AGENT_LINK_QUARANTINED, /* it said more than any agent has to say, and is not read for a while */
};

struct ma_agent_source_config {
    const char *listen_path;  /* NULL or "": no listener */
    uid_t listen_uid;         /* owner of the socket: the user that QEMUs run as */
    const char *const *globs; /* of existing channel sockets */
    size_t n_globs;
    size_t max_agents;
};

struct ma_agent_source_ops {
    void *userdata;
    /* Names the guest of that process: 0 and uuid; -EAGAIN: not known yet, ask again; other: refuse the channel. */
    int (*identify)(void *userdata, pid_t pid, char uuid[MA_SOURCE_UUID_MAX]);
    /* A report that counts. */
    void (*on_report)(void *userdata, const char *uuid, const struct ma_agent_claims *claims);
    /* How its channel stands now. until_usec and reason (a literal): of a quarantine. */
    void (*on_link)(void *userdata,
                    const char *uuid,
                    enum ma_agent_link link,
                    uint64_t until_usec,
                    const char *reason);
};

int ma_agent_source_create(const struct ma_agent_source_config *config,
                           const struct ma_agent_source_ops *ops,
                           struct ma_agent_source **ret,
                           struct ma_err *err) __attribute__((warn_unused_result));
void ma_agent_source_destroy(struct ma_agent_source *source); /* NULL is fine */

/* Readable when dispatch has something to do. A dispatch does a bounded amount of work, whatever waits; it returns the pause
 * that the caller leaves before the next one. */
int ma_agent_source_fd(const struct ma_agent_source *source);
uint64_t ma_agent_source_deadline(const struct ma_agent_source *source); /* UINT64_MAX: never */
uint64_t ma_agent_source_dispatch(struct ma_agent_source *source, uint64_t now_usec);

/* The socket of that guest's channel, as its definition has it; "" where it has none. */
void ma_agent_source_set_path(struct ma_agent_source *source, const char *uuid, const char *path);
/* The guest ended. */
void ma_agent_source_forget(struct ma_agent_source *source, const char *uuid);

/* How often this guest is to report: often where it matters. Nothing is sent where that is so already. */
void ma_agent_source_set_matters(struct ma_agent_source *source, const char *uuid, bool matters);
/* A squeeze as a guest is told of it. */
struct ma_agent_squeeze {
    /* CLOCK_MONOTONIC; an agent takes what is older than its last line for late. */
    uint64_t now_usec;
    uint64_t target_bytes, take_bytes; /* what it will have, what is taken of what it has */
    uint64_t deadline_usec;            /* from now on */
};
/* Tells a guest that memory is being taken. The number, as in the claims; 0: not sent, there is no agent or its channel is
 * full. */
uint64_t ma_agent_source_announce(struct ma_agent_source *source,
                                  const char *uuid,
                                  const struct ma_agent_squeeze *squeeze);
