/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* libvirt-source.h - guests as libvirt knows them, and actions through it. libvirt's calls block, so threads make
 * them; the loop only pops messages and submits requests, both under a lock that nobody holds across a call.
 *
 * All functions: loop thread. None of them waits for libvirtd, except ma_libvirt_stop(), which is bounded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actuator.h"
#include "err.h"
#include "guest-rules.h"
#include "guest-source.h"

struct ma_libvirt;

/* 0 or NULL in a field means the default named beside it. Everything is copied. */
struct ma_libvirt_config {
    const char *uri; /* "qemu:///system" */
    /* Where the driver keeps NAME.pid. NULL: /run/libvirt/qemu for a system URI, $XDG_RUNTIME_DIR/libvirt/qemu/run for
     * a session's; a private libvirtd needs it said. */
    const char *run_dir;
    uint64_t stats_period_usec;  /* between two figures of one guest: 10 s */
    uint64_t call_deadline_usec; /* a call on one guest beyond it: STUCK: 2 s */
    unsigned stats_workers;      /* 2 */
    unsigned action_workers;     /* 3, and one more that serves only kill and resume */
    size_t max_guests;           /* guests beyond it are not reported: MA_GUESTS_MAX */
    unsigned
        balloon_period_s; /* given to guests whose balloon statistics are off (period 0): 5 s */
    bool leave_balloon_period;   /* true: never touch that period */
    bool keep_balloon_period;    /* true: ma_libvirt_stop() does not put it back to 0 */
    struct ma_guest_rules rules; /* as ma_libvirt_set_rules() */
};

/* Spawns the threads and returns; they connect, and reconnect with back-off for ever. Once per process at a time.
 * -ENOMEM, -EAGAIN (threads), -EINVAL; *ret untouched then. */
int ma_libvirt_start(const struct ma_libvirt_config *config,
                     struct ma_libvirt **ret,
                     struct ma_err *err) __attribute__((warn_unused_result));

/* eventfd, readable while messages wait; ma_libvirt_pop() resets it when it returns false. Owned by lv. */
int ma_libvirt_fd(const struct ma_libvirt *lv);

/* The next message; false: none. Per guest GUEST comes first and ENDED last, the rest in the order it happened.
 * Nothing is lost: a FIGURES message that still waits is replaced in its place by the newer one, an OUTCOME has its
 * place in its guest (hence -EBUSY until it is popped; it may overtake other messages), and for all others the
 * threads wait until there is room. */
bool ma_libvirt_pop(struct ma_libvirt *lv, struct ma_source_message *ret);

/* balloon, resize, pause, save, shutdown, kill, resume; -EOPNOTSUPP for the rest. Besides the port's contract: while a
 * guest is STUCK only kill is accepted for it, everything else is -EBUSY.
 * The outcome DONE of a shutdown means that the guest was asked. Valid until ma_libvirt_stop(). */
const struct ma_actuator *ma_libvirt_actuator(struct ma_libvirt *lv);

/* Deep-copied; every guest's CONFIG is evaluated anew (and sent where it changed). NULL: no rules. -ENOMEM: the old
 * ones stay. */
int ma_libvirt_set_rules(struct ma_libvirt *lv, const struct ma_guest_rules *rules)
    __attribute__((warn_unused_result));

/* Of all guests, from their next figures on; 0 is ignored. */
void ma_libvirt_set_stats_period(struct ma_libvirt *lv, uint64_t period_usec);

/* From now on the balloon's statistics period may (or may not) be set where nobody did; guests that are known are looked
 * at again. What was set stays until ma_libvirt_stop(). */
void ma_libvirt_set_leave_balloon_period(struct ma_libvirt *lv, bool should_leave);

/* Figures of that guest (NULL: of all) as soon as a worker is free, and its facts anew. */
void ma_libvirt_refresh(struct ma_libvirt *lv, const char *uuid);

/* What an observer may want to know of the adapter itself. */
struct ma_libvirt_health {
    bool is_connected;
    size_t n_guests;
    unsigned threads_abandoned; /* given up to calls that do not return, now */
    uint64_t stats_calls;       /* since start */
    uint64_t figures_coalesced; /* replaced before they were popped */
    uint64_t reconnects;
};
void ma_libvirt_health(struct ma_libvirt *lv, struct ma_libvirt_health *ret);

/* Puts back what was set (balloon periods), closes, joins. At most MA_LIBVIRT_STOP_MAX_USEC: threads that hang in a
 * call by then are left behind with their memory. Requests without an outcome get none. NULL is fine. */
#define MA_LIBVIRT_STOP_MAX_USEC UINT64_C(3000000)
void ma_libvirt_stop(struct ma_libvirt *lv);
