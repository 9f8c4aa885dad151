/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* child.h - an operator's program, started, awaited and ended: OnExhausted='s and the hooks. Not for the loop: starting
 * a process takes milliseconds on a host that is short. Linux: posix_spawn(3), pidfd_open(2). */

#include <sys/types.h>

struct ma_child {
    pid_t pid;
    int pidfd; /* readable once it has ended */
};

/* Runs `path` without arguments and without a shell, with that environment alone (NULL-terminated). Standard input is
 * empty, output goes where ours goes, no other descriptor is passed on. It leads a session of its own, so that what it
 * starts can be ended with it; no signal that we block or ignore is blocked or ignored. 0 or negative errno. */
int ma_child_start(const char *path, char *const envp[], struct ma_child *ret);
/* For the kernel's OOM killer: -1000..1000, 1000 goes first. A start inherits ours, which is that of a daemon that must
 * outlive the rest. Best effort. */
void ma_child_set_oom_score(const struct ma_child *child, int score);
/* SIGKILL to it and to all of its session's first process group that is still there. Before ma_child_reap() alone:
 * until then neither number can be another's. */
void ma_child_kill(const struct ma_child *child);
/* Waits until it has ended; its status as waitpid() gives it. */
int ma_child_reap(struct ma_child *child);
/* Lets go of one that runs on: whoever inherits it reaps it. */
void ma_child_forget(struct ma_child *child);
