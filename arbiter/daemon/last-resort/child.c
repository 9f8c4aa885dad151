/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

static int set_attributes(posix_spawnattr_t *attr) {
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    (void) sigemptyset(&none);
    (void) sigfillset(&all);
    int r = posix_spawnattr_setflags(attr, flags);
    r = r != 0 ? r : posix_spawnattr_setsigmask(attr, &none);
    return r != 0 ? r : posix_spawnattr_setsigdefault(attr, &all);
}

static int set_files(posix_spawn_file_actions_t *files) {
    int r = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    r = r != 0 ? r : posix_spawn_file_actions_addchdir_np(files, "/");
    return r != 0 ? r : posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
}

static int spawn(const char *path, char *const envp[], pid_t *ret) {
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    ma_auto_free char *name = strdup(path);
    char *const argv[] = {name, NULL};
    if (name == NULL || posix_spawnattr_init(&attr) != 0) {
        return -ENOMEM;
    }
    if (posix_spawn_file_actions_init(&files) != 0) {
        (void) posix_spawnattr_destroy(&attr);
        return -ENOMEM;
    }
    int r = set_attributes(&attr);
    r = r != 0 ? r : set_files(&files);
    r = r != 0 ? r : posix_spawn(ret, path, &files, &attr, argv, envp);
    (void) posix_spawn_file_actions_destroy(&files);
    (void) posix_spawnattr_destroy(&attr);
    return -r;
}

int ma_child_start(const char *path, char *const envp[], struct ma_child *ret) {
    pid_t pid = 0;
    int r = spawn(path, envp, &pid);
    if (r < 0) {
        return r;
    }
    int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) { /* no descriptor left: what cannot be awaited is not let run */
        r = -errno;
        struct ma_child child = {.pid = pid, .pidfd = -1};
        ma_child_kill(&child);
        (void) ma_child_reap(&child);
        return r;
    }
    *ret = (struct ma_child){.pid = pid, .pidfd = pidfd};
    return 0;
}

void ma_child_set_oom_score(const struct ma_child *child, int score) {
    char path[64];
    char text[16];
    (void) snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", child->pid);
    int length = snprintf(text, sizeof(text), "%d", score);
    ma_auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void) !write(fd, text, (size_t) length); /* it has ended, or /proc is not ours */
    }
}

void ma_child_kill(const struct ma_child *child) {
    (void) kill(-child->pid, SIGKILL);
    if (child->pidfd >= 0) {
        (void) syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
    }
}

int ma_child_reap(struct ma_child *child) {
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    ma_child_forget(child);
    return status;
}

void ma_child_forget(struct ma_child *child) {
    if (child->pidfd >= 0) {
        (void) close(child->pidfd);
    }
    child->pidfd = -1;
}
