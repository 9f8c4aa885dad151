/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-limits.h - keeps RLIMIT_MEMLOCK, cgroup limits and oom_score_adj of guests where the configuration wants them, and
 * gives them back. Loop thread only; what may block is done by the kernel workers. */

#include "daemon.h"

/* Looks at every guest that was sampled since, and sets, restores or leaves each limit. After the wire. */
void ma_guest_limits_watch(struct ma_daemon *d, uint64_t now_usec);
/* An outcome of a request of ours; false: it is somebody else's. */
bool ma_guest_limits_on_outcome(struct ma_daemon *d, const struct ma_outcome *outcome);
/* How many guests have a limit of memarb's. */
size_t ma_guest_limits_n_owed(const struct ma_daemon *d);
/* Are all processes found that the log speaks of and that live? */
bool ma_guest_limits_are_all_known(struct ma_daemon *d);
bool ma_guest_limits_is_ours(const struct ma_tracked *guest, enum ma_limit limit);
/* RLIMIT_MEMLOCK is as memarb has set it. */
bool ma_guest_limits_is_memlock_kept(const struct ma_tracked *guest);
/* Its process has ended, or is another one now. */
void ma_guest_limits_forget(struct ma_tracked *guest);
/* Everything of this guest's, now; nothing is set again while it is held. */
void ma_guest_limits_release(struct ma_tracked *guest);

/* limit-tell.c */
void ma_limit_tell_set(struct ma_daemon *d,
                       const struct ma_tracked *guest,
                       enum ma_limit limit,
                       uint64_t from,
                       uint64_t to);
/* Or that there was nobody any more: that is recorded alone. */
void ma_limit_tell_refused(struct ma_daemon *d,
                           struct ma_tracked *guest,
                           enum ma_limit limit,
                           const char *why);
/* Somebody else changed what memarb had set. */
void ma_limit_tell_changed(struct ma_daemon *d,
                           struct ma_tracked *guest,
                           enum ma_limit limit,
                           uint64_t ours);
/* What is asked for and not done, once for each reason. */
void ma_limit_tell_note(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit);
void ma_limit_tell_unkillable(struct ma_daemon *d);
/* "5 GiB", "512", "400%", "-900", "unlimited". Returns buf. */
char *ma_limit_format(char buf[MA_FORMAT_MAX], enum ma_limit limit, uint64_t value);
