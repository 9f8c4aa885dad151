/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* control-internal.h - what the files of this folder share. Everything here belongs to the control thread, except
 * struct ma_control_inbox. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control.h"
#include "json-write.h"
#include "varlink.h"

/* Clients at a time. Too small: a monitoring script keeps the operator out; too large: memory. The last ones are kept
 * for root, so that readers cannot lock the operator out. A guess. */
#define MA_CONTROL_CLIENTS_MAX      32U
#define MA_CONTROL_CLIENTS_FOR_ROOT 8U
/* A message begun and not ended, or a reply that nobody reads: closed after this. Too small cuts a slow terminal off,
 * too large lets a silent client keep its place. */
#define MA_CONTROL_STALL_USEC (10 * MA_USEC_PER_SEC)
/* A client that says nothing and subscribed to nothing. */
#define MA_CONTROL_IDLE_USEC (120 * MA_USEC_PER_SEC)
/* Largest reply (a plan of 1024 guests takes about 5 MiB), and the sum of what waits for all clients: under a quarter
 * of the unit's MemoryMax=. */
#define MA_CONTROL_REPLY_MAX   (16U << 20)
#define MA_CONTROL_PENDING_MAX (32U << 20)
/* Events waiting for one subscriber; beyond, it loses events and is told how many. */
#define MA_CONTROL_EVENTS_PENDING_MAX (256U << 10)
/* Events from the loop that this thread has not taken yet. */
#define MA_CONTROL_INBOX_BYTES (256U << 10)
/* Past events kept for `memarbctl events`. */
#define MA_CONTROL_HISTORY_MAX 256U

struct ma_control_inbox {
    pthread_mutex_t lock; /* covers what follows; held for one memcpy at most */
    size_t len;
    uint64_t lost_count;
    char *bytes; /* uint32_t length, then the text; MA_CONTROL_INBOX_BYTES */
};

struct ma_control_client {
    int fd;
    uid_t uid;
    bool is_root;
    bool is_subscribed;
    bool is_ending; /* nothing more is read: closed once `out` is empty */
    char *in;
    size_t in_len, in_size;
    char *out;
    size_t out_at, out_len, out_size;
    uint64_t lost_count;    /* events since the last one that was delivered */
    uint64_t last_in_usec;  /* last byte of a message begun, or last message */
    uint64_t last_out_usec; /* last progress of writing */
};

struct ma_control {
    struct ma_control_ops ops;
    char path[108];
    int listen_fd;
    int wake_fd; /* eventfd: events in the inbox, or the end */
    pthread_t thread;
    bool should_stop; /* atomic */
    struct ma_control_inbox inbox;
    char frame[MA_CONTROL_EVENT_MAX + 128]; /* one event on its way out */
    char *drained;                          /* the thread's copy of the inbox */
    char *history[MA_CONTROL_HISTORY_MAX];
    size_t history_at, n_history;
    struct ma_control_client clients[MA_CONTROL_CLIENTS_MAX];
    size_t n_clients;
    size_t pending_bytes; /* sum of the clients' `out` */
};

uint64_t ma_control_now_usec(void);

/* control.c and control-client.c */
void *ma_control_thread(void *userdata);
void ma_control_client_open(struct ma_control *control, int fd);
void ma_control_client_close(struct ma_control *control, size_t index);
/* Reads, answers, writes as far as it goes without waiting; false: to be closed. */
bool ma_control_client_step(struct ma_control *control,
                            struct ma_control_client *client,
                            bool can_read);
/* Writes as far as it goes without waiting; false: to be closed. */
bool ma_control_client_flush(struct ma_control *control, struct ma_control_client *client);
/* When it must be looked at again, CLOCK_MONOTONIC; MA_USEC_INFINITY: never. Past: it is to be closed. */
uint64_t ma_control_client_deadline(const struct ma_control_client *client);
/* Takes `text` (len bytes, malloc'd, NUL included as the frame's end) for writing; false: out of memory. */
bool ma_control_client_send(struct ma_control *control,
                            struct ma_control_client *client,
                            const char *text,
                            size_t len);

/* control-events.c */
int ma_control_inbox_init(struct ma_control_inbox *inbox);
void ma_control_inbox_fini(struct ma_control_inbox *inbox);
void ma_control_deliver_events(struct ma_control *control);
bool ma_control_subscribe(struct ma_control *control,
                          struct ma_control_client *client,
                          uint64_t last);
void ma_control_forget_history(struct ma_control *control);

/* control-methods.c: answers one call; false: the client is to be closed. */
bool ma_control_answer(struct ma_control *control,
                       struct ma_control_client *client,
                       const char *text,
                       size_t len);
