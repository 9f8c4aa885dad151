/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* self.h - staying able to act while the host is short: own pages locked, faulted in beforehand, not first to die. */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum ma_self_lock {
    MA_SELF_LOCK_NONE,
    MA_SELF_LOCK_CURRENT,  /* what is mapped now, not what comes */
    MA_SELF_LOCK_ON_FAULT, /* all, each page when first touched */
};
const char *ma_self_lock_name(enum ma_self_lock lock);
/* mlockall on fault; where the limit allows only less, what it allows. 0 with *ret_lock; err->message says why it is
 * less than ON_FAULT (err->code stays 0 then). Never fatal. Call before threads are started. */
int ma_self_lock_memory(enum ma_self_lock *ret_lock, struct ma_err *err);
/* Sets one's own oom_score_adj unless somebody (systemd) has set it already (it is not 0). *ret_adj: what holds now.
 * -EACCES, -EPERM: not allowed. */
int ma_self_protect_from_oom(const char *proc_root, int adj, int *ret_adj, struct ma_err *err);
/* Touches each page for writing, contents unchanged. */
void ma_self_prefault(void *memory, size_t size);
/* Touches this thread's stack below the caller. Too small: the alarm path faults in its first run; too large: locked
 * memory per thread, or beyond a small stack (a thread needs at least twice this). */
#define MA_SELF_STACK_BYTES ((size_t) 64 * 1024)
void ma_self_prefault_stack(void);
