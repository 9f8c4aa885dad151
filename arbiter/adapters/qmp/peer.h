/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* peer.h - one monitor connection, shared by the files of this folder. */

#include "log.h"
#include "qmp-source.h"
#include "qmp.h"

/* Where a connected peer stands on its way to being a known guest. */
enum ma_peer_stage {
    MA_PEER_CONNECTING,
    MA_PEER_UNKNOWN, /* ready, but the loop does not know the process yet */
    MA_PEER_ASKING,  /* facts are being asked */
    MA_PEER_KNOWN,   /* reported; figures are polled */
};

struct ma_peer {
    struct ma_qmp_source *source;
    size_t index; /* in source->peers */
    struct qmp_client *client;
    int fd;         /* as registered with epoll; -1: none */
    char path[108]; /* of a globbed socket; "" for a peer that dialled in */
    pid_t pid;
    char uuid[MA_SOURCE_UUID_MAX];
    uint64_t uuid_hash; /* 0: not identified; ma_qmp_source_set_uuid() */
    char name[MA_SOURCE_NAME_MAX];
    enum ma_peer_stage stage;
    bool is_dead; /* to be freed at the end of this dispatch */
    bool is_stuck;
    bool is_seen; /* by the last glob */
    uint64_t next_poll_usec;
    uint64_t next_identify_usec;
    unsigned facts_pending;
    struct ma_source_guest facts;
    uint64_t base_bytes;
    uint64_t dimm_bytes;
    char balloon_path[QMP_PATH_MAX];
    char virtio_mem_path[QMP_PATH_MAX];
    struct ma_virtio_mem virtio_mem;
    bool is_interval_off; /* QEMU says that nobody asks for the balloon's statistics */
    bool is_interval_ours;
    uint64_t last_update_sec; /* statistics: when they moved last, by QEMU's clock and by ours */
    uint64_t moved_usec;
    struct ma_source_figures figures; /* the last ones, completed by each answer */
    bool has_request;
    struct ma_request request;
    uint64_t request_usec;
};

/* What is told of peers that are not served; each kind once in a while, since a refused QEMU dials again every second. */
enum ma_complaint {
    MA_COMPLAINT_REFUSED,
    MA_COMPLAINT_NO_ROOM,
    MA_COMPLAINT_TOO_MANY,
    MA_COMPLAINT_COUNT
};

struct ma_qmp_source {
    struct ma_qmp_source_config config;
    struct ma_qmp_source_ops ops;
    struct ma_actuator actuator;
    int epoll_fd;
    int listen_fd;
    uint64_t now_usec; /* of the dispatch under way: callbacks read no clock */
    uint64_t next_glob_usec;
    uint64_t next_due_usec; /* no peer has anything due before this */
    struct ma_peer **peers;
    uint64_t *hashes;    /* of the peers' uuids: finding one must not walk through all of them */
    uint64_t *dues_usec; /* ... nor what is due: ma_peer_deadline() of each, 0: now */
    size_t n_peers;
    size_t polls_left; /* of this dispatch */
    uint64_t quiet_until_usec[MA_COMPLAINT_COUNT];
};

/* source.c */
/* Now that it is known whose the peer is. */
void ma_qmp_source_set_uuid(struct ma_qmp_source *source, struct ma_peer *peer, const char *uuid);
/* After anything that may have moved its deadline, or ended it. */
void ma_qmp_source_note_due(struct ma_qmp_source *source, const struct ma_peer *peer);
/* The level for a complaint of that kind now: warning, or debug when one was told a moment ago. */
enum ma_log_level ma_qmp_source_complaint_level(struct ma_qmp_source *source,
                                                enum ma_complaint kind);
uint64_t ma_qmp_source_hash(const char *uuid);
struct ma_peer *ma_qmp_source_find(const struct ma_qmp_source *source, const char *uuid);
/* peer.c */
/* greeting_usec: how long it may take until QEMU speaks; 0: the client's default. */
struct ma_peer *ma_peer_create(struct ma_qmp_source *source, uint64_t greeting_usec);
void ma_peer_destroy(struct ma_peer *peer);
void ma_peer_tick(struct ma_peer *peer); /* what is due by source->now_usec */
/* How far into a period this peer's turn is: polls are spread, so that no dispatch has to ask all. */
uint64_t ma_peer_phase_usec(const struct ma_peer *peer, uint64_t period_usec);
/* Asking a little early lets one look at all peers serve many of them: so early. */
uint64_t ma_peer_slack_usec(const struct ma_qmp_source *source);
uint64_t ma_peer_deadline(const struct ma_peer *peer);
void ma_peer_send(struct ma_peer *peer, struct ma_source_message *message);
struct qmp_call ma_peer_call(struct ma_peer *peer,
                             void (*done)(void *userdata, const struct qmp_result *result));
/* facts.c: asks what the guest is; figures.c: how it fares. */
void ma_peer_ask_facts(struct ma_peer *peer);
/* Gives its balloon a statistics period where it has none and we may. */
void ma_peer_start_statistics(struct ma_peer *peer);
void ma_peer_ask_figures(struct ma_peer *peer);
void ma_peer_send_figures(struct ma_peer *peer);
void ma_peer_note_memory_devices(struct ma_peer *peer, const struct qmp_memory_devices *devices);
void ma_peer_note_actual(struct ma_peer *peer, const struct qmp_balloon *balloon);
/* requests.c */
bool ma_peer_can_act(const struct ma_peer *peer);
int ma_peer_submit(void *self, const struct ma_request *request);
void ma_peer_fail_request(struct ma_peer *peer, enum ma_outcome_result result, const char *detail);
