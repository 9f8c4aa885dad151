/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* agent-internal.h - one channel, shared by the files of this folder. */

#include "agent-source.h"
#include "book.h"
#include "log.h"

#define MA_AGENT_PATH_MAX 108
/* Read of one channel at once. Smaller: what lay in a channel takes longer to be over; larger: a flood is copied for longer.
 * 32 KiB are copied in 10 us. */
#define MA_AGENT_READ_MAX_BYTES 32768U

enum ma_agent_stage {
    MA_AGENT_WAITING, /* not connected; at next_usec it is tried again */
    MA_AGENT_UNKNOWN, /* connected; the loop does not know the process yet */
    MA_AGENT_OPEN,    /* whose it is, is known; it is read */
};

struct ma_agent {
    struct ma_agent_source *source;
    enum ma_agent_stage stage;
    int fd;
    pid_t pid;                     /* of the other end */
    char path[MA_AGENT_PATH_MAX];  /* "" for one that dialled in */
    char uuid[MA_SOURCE_UUID_MAX]; /* "" until it is known; of a libvirt channel from the start */
    bool is_of_definition; /* set by ma_agent_source_set_path(): its uuid must be the process's */
    bool is_dead;          /* to be freed at the end of this dispatch */
    bool is_seen;          /* by the last glob */
    bool matters;
    uint64_t next_usec; /* what is due by its stage: try, identify, ask again */
    unsigned failures;  /* in a row, of connecting */
    unsigned floods;    /* in a row: each doubles the quarantine */
    unsigned asked;     /* times under this token, unanswered */
    uint64_t quarantined_until_usec;
    uint64_t opened_usec; /* of this connection; once it is read, when that began */
    uint64_t next_squeeze_id;
    uint64_t read_again_usec; /* not read before this */
    unsigned n_hasty;         /* reads in a row that found more too soon */
    bool is_muted;            /* out of the epoll set until then, and in the list */
    struct ma_agent *next_muted;
    struct mag_lines lines;
    struct ma_agent_book book;
};

struct ma_agent_source {
    struct ma_agent_source_config config;
    struct ma_agent_source_ops ops;
    int epoll_fd, listen_fd;
    uint64_t now_usec; /* of the dispatch under way */
    uint64_t next_glob_usec;
    uint64_t next_due_usec; /* nothing is due before this */
    uint64_t last_token;
    /* Channels that had more to say too soon; the first of them is read at next_read_usec. */
    struct ma_agent *first_muted;
    uint64_t next_read_usec;
    struct ma_agent **agents;
    size_t n_agents;
    uint64_t quiet_until_usec;
    char data[MA_AGENT_READ_MAX_BYTES]; /* of the read under way */
};

/* link.c */
void ma_agent_tick(struct ma_agent *agent); /* what is due by source->now_usec */
void ma_agent_read(struct ma_agent *agent); /* something waits there, or it broke */
void ma_agent_leave_muted(struct ma_agent *agent);
void ma_agent_read_muted(struct ma_agent_source *source);
void ma_agent_adopt(struct ma_agent *agent, int fd); /* one that dialled in; takes fd */
void ma_agent_close(struct ma_agent *agent, uint64_t retry_usec);
/* Asks for reports at the rate that it matters for. */
void ma_agent_ask(struct ma_agent *agent);
/* One whole line, or the channel is closed. false: it was not sent. */
bool ma_agent_send(struct ma_agent *agent, const struct mag_request *request);
/* source.c */
uint64_t ma_agent_source_token(struct ma_agent_source *source);
bool ma_agent_source_has_other(const struct ma_agent_source *source, const struct ma_agent *agent);
enum ma_log_level ma_agent_source_complaint_level(struct ma_agent_source *source);
