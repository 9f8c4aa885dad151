/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* internal.h - what the threads of the libvirt adapter share. Nobody outside this folder includes it.
 *
 *   loop     (the daemon's)  pops messages, submits requests
 *   events   runs libvirt's event loop; its callbacks ask nothing of libvirt, they note or post
 *   survey   connects, lists, reads definitions and metadata
 *   watch    deadlines: outcomes TIMEOUT, quarantine, replacement of workers that hang
 *   workers  statistics and actions; each has its own connection and may hang in a call
 *
 * One lock, `lock`, covers every field below that is not said to be fixed. Nobody holds it across a call into libvirt,
 * so the loop waits for it some microseconds at most. Functions with _locked want it held. */

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "bytes.h"
#include "domain-facts.h"
#include "figures.h"
#include "libvirt-source.h"
#include "metadata.h"

/* Messages that wait for the loop. Too small: threads wait for the loop while it is busy; too large: locked memory
 * (0.5 KiB each). A burst of starts posts three a guest. Chosen. */
#define LV_RING_MAX 256U
#define LV_BUCKETS  1024U
/* Workers of one kind: RPC's limit is 5 requests a client, but each worker is a client of its own; libvirtd serves
 * 20 calls at once and is not ours alone. */
#define LV_STATS_WORKERS_MAX  4U
#define LV_ACTION_WORKERS_MAX 4U
/* The reserved one has the last slot. */
#define LV_SLOTS (LV_STATS_WORKERS_MAX + LV_ACTION_WORKERS_MAX + 1U)
/* Threads given up to calls that hang, each of which also holds one of libvirtd's 20 workers: beyond it no replacement
 * is started. Too small: some hung guests stop all statistics; too large: libvirtd serves nobody else. */
#define LV_ABANDONED_MAX 8U
#define LV_WORKERS_MAX   (LV_SLOTS + LV_ABANDONED_MAX)
/* libvirt's client and libxml2 with bounded depth stay under 64 KiB (measured: 40); locked memory when all is locked. */
#define LV_STACK_BYTES ((size_t) 256 * 1024)

enum lv_dirty {
    LV_DIRTY_FACTS = 1U << 0, /* definition, metadata, rules */
    LV_DIRTY_STATE = 1U << 1,
};

enum lv_action_phase {
    LV_ACTION_IDLE,
    LV_ACTION_QUEUED,
    LV_ACTION_RUNNING,
    LV_ACTION_OUTCOME, /* waits to be popped */
};

/* virDomainPtr of one worker's connection; `serial` tells whether it still is that connection. */
struct lv_dom {
    virDomainPtr dom;
    uint64_t serial;
};

struct lv_guest {
    char uuid[VIR_UUID_STRING_BUFLEN]; /* fixed */
    unsigned refs;                     /* the table, calls under way, queue of actions */
    uint64_t listed_in;                /* connection whose list had it, or whose event brought it */
    bool is_announced;                 /* GUEST was posted: others may follow */
    bool is_ended;
    struct lv_guest *next_in_bucket;
    struct lv_guest *next_in_trash;
    struct lv_dom doms[LV_SLOTS];

    /* survey */
    unsigned dirty;
    bool is_in_survey;
    TAILQ_ENTRY(lv_guest) survey_link;
    bool must_send; /* a new connection: GUEST, CONFIG and STATE again, changed or not */
    struct ma_source_guest sent_guest;
    struct ma_source_config sent_config;
    struct ma_source_state sent_state;
    uint64_t state_events; /* counts lifecycle events, to see that a state read is already old */
    struct ma_said rules_said;
    struct ma_said last_good;
    bool has_rules_said;
    bool has_last_good;

    /* statistics */
    bool is_in_due;
    bool is_asked; /* a worker is at it */
    TAILQ_ENTRY(lv_guest) due_link;
    uint64_t due_usec;
    struct lv_figures_memory memory;
    struct ma_source_figures figures; /* the last ones, for the balloon event */
    bool has_figures;
    /* place in the ring of a message that may still wait; valid if has_posted_figures */
    uint64_t figures_seq;
    bool has_posted_figures;
    bool is_occupied; /* virDomainGetControlInfo says that another's call hangs there */
    bool is_in_job;   /* and this one, that a migration or so is under way */
    unsigned hung;    /* calls of ours that do not return; with is_occupied: STUCK */
    bool is_stuck;    /* STUCK was posted */

    /* actions */
    enum lv_action_phase phase;
    TAILQ_ENTRY(lv_guest) action_link;
    struct lv_guest *next_outcome;
    struct ma_request request;
    struct ma_outcome outcome;
    uint64_t submitted_usec;
    unsigned hung_actions;
    uint64_t own_pause_until_usec; /* a SUSPENDED before it is ours */
    uint64_t own_resume_until_usec;

    /* the statistics' period inside the guest's QEMU */
    bool is_period_ours;
    bool wants_period;
    unsigned period_wanted_s;
    TAILQ_ENTRY(lv_guest) period_link;
};
TAILQ_HEAD(lv_guest_list, lv_guest);

enum lv_worker_kind { LV_WORKER_STATS, LV_WORKER_ACTION, LV_WORKER_RESERVED };

struct lv_worker {
    struct ma_libvirt *lv; /* fixed, as the next three */
    enum lv_worker_kind kind;
    unsigned slot;
    pthread_t thread;
    bool is_used;      /* this place in lv->workers is taken; thread started and not yet joined */
    bool is_done;      /* its thread is about to return */
    bool is_abandoned; /* its call passed the deadline and has not returned */
    bool is_replaced;  /* and another has its slot: the thread ends when the call returns */
    struct lv_guest *guest; /* in a call on it, else NULL */
    uint64_t deadline_usec; /* of the call; 0: none */
    bool is_request;        /* the call carries out guest->request */
    bool is_broken;         /* conn is to be opened anew */
    virConnectPtr conn;     /* the worker's alone, not under the lock */
    uint64_t serial;        /* of conn, likewise */
    uint64_t conn_epoch;
    uint64_t retry_usec;
};

struct ma_libvirt {
    /* fixed after start */
    char *uri;
    char *run_dir;
    struct ma_libvirt_config config;
    struct ma_actuator actuator;
    int event_fd;

    pthread_mutex_t lock;
    pthread_cond_t room;       /* in the ring */
    pthread_cond_t survey;     /* something is dirty, the connection closed, or stop */
    pthread_cond_t stats;      /* something is due, or a worker's connection should be opened */
    pthread_cond_t actions;    /* likewise */
    pthread_cond_t watch;      /* an earlier deadline */
    pthread_cond_t done;       /* a thread ended, or a period was put back */
    uint64_t watch_until_usec; /* when the watch looks next */
    bool is_stopping;
    bool is_restoring; /* stop was asked for: periods are put back first */

    bool is_connected;
    bool is_closed; /* the events' connection broke */
    uint64_t epoch; /* of connections: grows with each connect */
    uint64_t next_serial;

    struct lv_guest *buckets[LV_BUCKETS];
    size_t n_guests;
    struct lv_guest *trash;
    struct lv_guest_list survey_list;
    struct lv_guest_list due_list; /* by due_usec */
    struct lv_guest_list action_list;
    struct lv_guest_list period_list;
    struct lv_guest *first_outcome;
    struct lv_guest **last_outcome;
    uint64_t stats_period_usec;

    struct ma_source_message *ring;
    uint64_t ring_head; /* next to pop */
    uint64_t ring_tail; /* next to fill */
    bool is_signalled;

    struct ma_guest_rules *rules; /* replaced whole; readers hold rules_users */
    unsigned rules_users;
    struct ma_guest_rules *old_rules;

    struct lv_worker workers[LV_WORKERS_MAX];
    unsigned n_abandoned;
    pthread_t events_thread;
    pthread_t survey_thread;
    pthread_t watch_thread;
    bool is_events_done;
    bool is_survey_done;
    bool is_watch_done;
    int wake_timer; /* of libvirt's event loop */
    atomic_bool stop_events;

    uint64_t stats_calls;
    uint64_t figures_coalesced;
    uint64_t reconnects;
};

uint64_t lv_now_usec(void);
int lv_cond_init(pthread_cond_t *cond);
/* Until signalled or until_usec (MA_USEC_INFINITY: no limit); the lock is held before and after. */
void lv_wait_locked(struct ma_libvirt *lv, pthread_cond_t *cond, uint64_t until_usec);

/* guests.c */
struct lv_guest *lv_find_locked(struct ma_libvirt *lv, const char *uuid);
/* Finds or makes; NULL: no memory or too many. A new one is dirty all over. Lock not held. */
struct lv_guest *lv_add_locked(struct ma_libvirt *lv, const char *uuid);
void lv_ref_locked(struct lv_guest *g);
void lv_unref_locked(struct ma_libvirt *lv, struct lv_guest *g);
void lv_mark_dirty_locked(struct ma_libvirt *lv, struct lv_guest *g, unsigned dirty);
/* Out of the table; posts ENDED if it was announced. May wait for room. */
void lv_end_locked(struct ma_libvirt *lv, struct lv_guest *g);
void lv_schedule_locked(struct ma_libvirt *lv, struct lv_guest *g, uint64_t due_usec);
void lv_want_period_locked(struct ma_libvirt *lv, struct lv_guest *g, unsigned seconds);
/* Frees what nobody refers to any more. Lock not held; never on the loop thread, since it may end a connection. */
void lv_empty_trash(struct ma_libvirt *lv);
void lv_free_all_guests(struct ma_libvirt *lv);

/* ring.c */
/* Waits for room; afterwards conditions must be looked at again. false: stopping, or g ended meanwhile. */
bool lv_wait_room_locked(struct ma_libvirt *lv, const struct lv_guest *g);
/* There must be room. */
void lv_put_locked(struct ma_libvirt *lv, const struct ma_source_message *m);
void lv_post_event_locked(struct ma_libvirt *lv, struct lv_guest *g, enum ma_source_event event);
void lv_post_state_locked(struct ma_libvirt *lv, struct lv_guest *g, struct ma_source_state state);
void lv_post_figures_locked(struct ma_libvirt *lv,
                            struct lv_guest *g,
                            const struct ma_source_figures *figures);
void lv_post_outcome_locked(struct ma_libvirt *lv,
                            struct lv_guest *g,
                            enum ma_outcome_result result,
                            const char *detail);
/* STUCK or UNSTUCK, if g->hung and g->is_occupied say so and it was not said. */
void lv_settle_stuck_locked(struct ma_libvirt *lv, struct lv_guest *g);

/* Threads' bodies; opaque is the struct ma_libvirt, a worker's is its struct. */
void *lv_events_main(void *opaque);
void *lv_survey_main(void *opaque);
void *lv_watch_main(void *opaque);
void *lv_worker_main(void *opaque);

/* events.c: on the survey's connection. */
#define LV_EVENTS_MAX 8
int lv_events_register(struct ma_libvirt *lv, virConnectPtr conn, int ids[LV_EVENTS_MAX]);
void lv_events_deregister(virConnectPtr conn, const int ids[LV_EVENTS_MAX]);
int lv_events_init_once(void);
int lv_events_add_timer(struct ma_libvirt *lv);
void lv_events_wake(struct ma_libvirt *lv);
/* NULL on failure. Keepalive is on: a libvirtd that hangs as a whole ends the connection. */
virConnectPtr lv_open(const struct ma_libvirt *lv, bool is_read_only);

/* workers.c */
/* 0 or a negative errno. */
int lv_thread_start(pthread_t *thread, void *(*body)(void *), void *argument);
int lv_worker_start_locked(struct ma_libvirt *lv, enum lv_worker_kind kind, unsigned slot);
/* The guest's domain on this worker's connection, a new reference; NULL with libvirt's error set. */
virDomainPtr lv_worker_dom(struct lv_worker *w, struct lv_guest *g);
/* Around each call that may hang. Begin takes a reference on g, which the caller drops when it is done with g. The end
 * tells whether the worker was given up meanwhile. */
void lv_call_begin_locked(struct lv_worker *w, struct lv_guest *g, uint64_t deadline_usec);
bool lv_call_end_locked(struct lv_worker *w);

/* What workers do: true if there was something. Lock held before and after. */
bool lv_stats_step_locked(struct lv_worker *w);
bool lv_action_step_locked(struct lv_worker *w);
/* How long a statistics worker may sleep. */
uint64_t lv_stats_next_locked(const struct ma_libvirt *lv);
/* actions.c */
int lv_submit(void *self, const struct ma_request *request);
