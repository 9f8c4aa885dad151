/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hook.c - the operator's program.
 *
 * It runs in a process group of its own, so that a shell's children die with it at the deadline. What the agent keeps for
 * itself it does not get: blocked signals, the agent's descriptors, its place before the OOM killer.
 *
 * Numbers only come from the host, and reach the hook as decimal text in its environment; nothing else of it is the
 * host's. */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"

#define ENV_BYTES 64U

int mag_hook_check(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0) {
        return -EACCES;
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_uid != 0 && st.st_uid != geteuid())) {
        return -EPERM;
    }
    return 0;
}

struct hook_environment {
    char id[ENV_BYTES], target[ENV_BYTES], take[ENV_BYTES], deadline[ENV_BYTES];
    char path[ENV_BYTES], event[ENV_BYTES];
    char *list[7];
};

static void fill_environment(struct hook_environment *env,
                             const struct mag_squeeze *squeeze,
                             uint64_t now_usec) {
    uint64_t left_msec = ma_sub_floor0(squeeze->deadline_usec, now_usec) / MA_USEC_PER_MSEC;
    (void) snprintf(env->path, ENV_BYTES, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    (void) snprintf(env->event, ENV_BYTES, "MEMARB_EVENT=squeeze");
    (void) snprintf(env->id, ENV_BYTES, "MEMARB_SQUEEZE=%" PRIu64, squeeze->id);
    (void) snprintf(env->target, ENV_BYTES, "MEMARB_TARGET_BYTES=%" PRIu64, squeeze->target_bytes);
    (void) snprintf(env->take, ENV_BYTES, "MEMARB_TAKE_BYTES=%" PRIu64, squeeze->take_bytes);
    (void) snprintf(env->deadline, ENV_BYTES, "MEMARB_DEADLINE_MSEC=%" PRIu64, left_msec);
    char *list[] = {env->path, env->event, env->id, env->target, env->take, env->deadline, NULL};
    memcpy(env->list, list, sizeof(list));
}

/* Between fork and exec: calls that are safe there only. */
static void become_hook(const char *path, char **environment) {
    char *argv[] = {(char *) path, (char *) "squeeze", NULL};
    sigset_t none;
    (void) setpgid(0, 0);
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) signal(SIGPIPE, SIG_DFL);
    int fd = open("/dev/null", O_RDONLY);
    if (fd >= 0) {
        (void) dup2(fd, STDIN_FILENO);
    }
    /* The agent may be the last that the OOM killer takes; a hook is like any other program. */
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "0", 1) < 0) {
            /* a guest without that file, or it stands at 0 already */
        }
    }
    (void) execve(path, argv, environment);
    _exit(127);
}

static int start(struct mag_hook_runner *h, const struct mag_squeeze *squeeze, uint64_t now_usec) {
    struct hook_environment env;
    int r = mag_hook_check(h->path);
    if (r < 0) {
        return r;
    }
    fill_environment(&env, squeeze, now_usec);
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        become_hook(h->path, env.list);
    }
    (void) setpgid(pid, pid); /* whichever of the two comes first */
    h->pid = pid;
    h->is_killed = false;
    h->squeeze = *squeeze;
    return 0;
}

int mag_hook_announce(struct mag_hook_runner *h,
                      const struct mag_squeeze *squeeze,
                      uint64_t now_usec) {
    if (now_usec >= squeeze->deadline_usec) {
        return -ETIME;
    }
    if (h->pid == 0) {
        return start(h, squeeze, now_usec);
    }
    h->has_next = true;
    h->next = *squeeze;
    return 0;
}

static void kill_group(struct mag_hook_runner *h) {
    (void) kill(-h->pid, SIGKILL);
    (void) kill(h->pid, SIGKILL); /* it may not have made its group yet */
    h->is_killed = true;
}

void mag_hook_on_time(struct mag_hook_runner *h, uint64_t now_usec) {
    if (h->pid != 0 && !h->is_killed && now_usec >= h->squeeze.deadline_usec) {
        kill_group(h);
    }
}

static enum mag_hook outcome_of(const struct mag_hook_runner *h, int status) {
    if (h->is_killed) {
        return MAG_HOOK_KILLED;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return MAG_HOOK_DONE;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == MAG_HOOK_VETO_STATUS ? MAG_HOOK_VETO
                                                                            : MAG_HOOK_FAILED;
}

bool mag_hook_on_child(struct mag_hook_runner *h, uint64_t *ret_id, enum mag_hook *ret_outcome) {
    int status;
    if (h->pid == 0 || waitpid(h->pid, &status, WNOHANG) != h->pid) {
        return false;
    }
    *ret_id = h->squeeze.id;
    *ret_outcome = outcome_of(h, status);
    h->pid = 0;
    return true;
}

bool mag_hook_take_next(struct mag_hook_runner *h, struct mag_squeeze *ret) {
    bool is_ready = h->has_next && h->pid == 0;
    if (is_ready) {
        *ret = h->next;
        h->has_next = false;
    }
    return is_ready;
}

uint64_t mag_hook_next_usec(const struct mag_hook_runner *h) {
    return h->pid != 0 && !h->is_killed ? h->squeeze.deadline_usec : UINT64_MAX;
}

void mag_hook_stop(struct mag_hook_runner *h) {
    if (h->pid != 0) {
        kill_group(h);
    }
}
