/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* control.h - the control socket (Varlink, interface io.memarb.Arbiter) on a thread of its own. Nothing that a client
 * does reaches the loop, except a command of root's, handed over through ops.command. */

#include <stddef.h>
#include <stdint.h>

#include "admission.h"
#include "err.h"
#include "view.h"

struct ma_control;

/* All are called on the control thread. */
struct ma_control_ops {
    void *userdata;
    /* The current view, held (rcu_read_lock) until view_unlock; NULL: none is published yet (view_unlock is called all
     * the same). The server only renders to memory in between: it does not wait, write or allocate. */
    const struct ma_view *(*view_lock)(void *userdata);
    void (*view_unlock)(void *userdata);
    /* Carries a command out on the loop and waits for it, 2 s at most. 0, or negative errno with *err for the person:
     * -EPERM (refused), -ENOENT (no such guest), -EINVAL, -ETIMEDOUT, ... */
    int (*command)(void *userdata, const struct ma_command *command, struct ma_err *err);
    /* May it start? Asked of the loop in the same way, and as long. NULL: not offered. */
    int (*admit)(void *userdata,
                 const struct ma_admission_request *request,
                 struct ma_admission_answer *ret,
                 struct ma_err *err);
    /* First and last act of the thread (rcu_register_thread); may be NULL. */
    void (*thread_start)(void *userdata);
    void (*thread_stop)(void *userdata);
};

struct ma_control_options {
    const char *socket_path; /* made anew (mode 0660), removed by destroy */
    const char *group; /* who may connect besides root; "" or NULL: root alone. Unknown: an error */
};

/* Binds, starts the thread. ops is copied; its userdata must outlive destroy. 0 or negative errno with err:
 * -EADDRINUSE when another server answers on that path. */
int ma_control_create(const struct ma_control_options *options,
                      const struct ma_control_ops *ops,
                      struct ma_control **ret_control,
                      struct ma_err *err);
/* Ends all connections and the thread; waits for it (as long as ops.command takes). NULL is fine. */
void ma_control_destroy(struct ma_control *control);

/* An event for the subscribers: one JSON object, len bytes, `{"kind":...}` as in io.memarb.Arbiter.varlink's Event.
 * Copied. From any thread; never waits: what does not fit is dropped and the subscribers are told how many. */
#define MA_CONTROL_EVENT_MAX 8192U
void ma_control_event(struct ma_control *control, const char *json, size_t len);
