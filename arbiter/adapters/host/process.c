/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process.c - holding a process and reading its figures.
 *
 * Identity: a pid is a number that the kernel gives away again. The pidfd is opened first, then the directory
 * /proc/PID; if the pidfd says "alive" after that, both are the same process, since the number was not free in
 * between. From then on only descriptors are used: once the process is gone, everything below its directory answers
 * ESRCH or ENOENT, whoever has the number now.
 * Rejected: smaps and smaps_rollup (3-6 ms per GiB, and they hold mmap_lock against VFIO mappings); /proc/PID/statm
 * (no swap, no VmLck); taskstats (a netlink round trip, no RSS). */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "ktext.h"

static int open_dir(const char *proc_root, pid_t pid) {
    char name[16];
    ma_auto_close int root = open(proc_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (root < 0) {
        return -errno;
    }
    (void) snprintf(name, sizeof(name), "%d", pid);
    int fd = openat(root, name, O_DIRECTORY | O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* What a process that ended between two steps answers. */
static int as_gone(int code) {
    return code == -ENOENT ? -ESRCH : code;
}

int ma_process_open_files(struct ma_process *p,
                          const char *proc_root,
                          pid_t pid,
                          struct ma_err *err) {
    struct ma_process_cpu cpu;
    *p = MA_PROCESS_CLOSED;
    if (pid <= 0) {
        return ma_err_set(err, -ESRCH, "process %d: not a process id", pid);
    }
    int fd = open_dir(proc_root, pid);
    if (fd < 0) {
        fd = as_gone(fd);
        return ma_err_set(err, fd, "cannot open %s/%d: %s", proc_root, pid, strerror(-fd));
    }
    p->pid = pid;
    p->dir_fd = fd;
    int r = ma_process_read_cpu(p, &cpu, err);
    if (r < 0) {
        ma_process_close(p);
        return r;
    }
    p->start_ticks = cpu.start_ticks;
    return 0;
}

int ma_process_open(struct ma_process *p, const char *proc_root, pid_t pid, struct ma_err *err) {
    *p = MA_PROCESS_CLOSED;
    if (pid <= 0) {
        return ma_err_set(err, -ESRCH, "process %d: not a process id", pid);
    }
    ma_auto_close int pidfd = (int) syscall(SYS_pidfd_open, pid, 0U);
    if (pidfd < 0) {
        /* EINVAL: the number is that of a thread, not of a process. */
        int code = errno == EINVAL ? -ESRCH : -errno;
        return ma_err_set(err, code, "cannot hold process %d: %s", pid, strerror(-code));
    }
    int r = ma_process_open_files(p, proc_root, pid, err);
    if (r < 0) {
        return r;
    }
    p->pidfd = pidfd;
    pidfd = -1;
    if (ma_process_is_gone(p)) {
        ma_process_close(p);
        return ma_err_set(err, -ESRCH, "process %d has ended", pid);
    }
    return 0;
}

void ma_process_close(struct ma_process *p) {
    ma_cleanup_close(&p->pidfd);
    ma_cleanup_close(&p->dir_fd);
    *p = MA_PROCESS_CLOSED;
}

bool ma_process_is_gone(const struct ma_process *p) {
    struct pollfd poll_fd = {.fd = p->pidfd, .events = POLLIN};
    return p->pidfd >= 0 && poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

static int read_lines(const struct ma_process *p,
                      const char *name,
                      char separator,
                      ma_ktext_line_fn fn,
                      void *userdata) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    ma_auto_close int fd = openat(p->dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return as_gone(-errno);
    }
    return ma_ktext_each_line(fd, separator, buf, fn, userdata);
}

static int explain(const struct ma_process *p, const char *name, int code, struct ma_err *err) {
    return ma_err_set(err, code, "process %d: cannot read %s: %s", p->pid, name, strerror(-code));
}

int ma_process_read(const struct ma_process *p, struct ma_process_sample *ret, struct ma_err *err) {
    struct ma_process_sample s = {.has = 0};
    int r = read_lines(p, "status", '\n', ma_process_status_parse_line, &s);
    if (r < 0) {
        return explain(p, "status", r, err);
    }
    if ((s.has & MA_PROCESS_HAS_RSS) == 0) {
        /* A zombie's status has no Vm lines: its memory is gone. */
        return ma_err_set(err, -ESRCH, "process %d has no memory any more (no usable VmRSS)",
                          p->pid);
    }
    *ret = s;
    return 0;
}

int ma_process_read_cpu(const struct ma_process *p,
                        struct ma_process_cpu *ret,
                        struct ma_err *err) {
    char text[1024];
    int r = ma_ktext_read_at(p->dir_fd, "stat", text, sizeof(text));
    if (r < 0) {
        return explain(p, "stat", as_gone(r), err);
    }
    r = ma_process_stat_parse(text, ret);
    return r < 0 ? ma_err_set(err, r, "process %d: stat cannot be understood", p->pid) : 0;
}

int ma_process_read_io(const struct ma_process *p, uint64_t *ret_bytes, struct ma_err *err) {
    char text[512];
    int r = ma_ktext_read_at(p->dir_fd, "io", text, sizeof(text));
    if (r < 0) {
        return explain(p, "io", as_gone(r), err);
    }
    r = ma_process_io_parse(text, ret_bytes);
    return r < 0 ? ma_err_set(err, r, "process %d: io cannot be understood", p->pid) : 0;
}

int ma_process_read_oom_score_adj(const struct ma_process *p, int *ret, struct ma_err *err) {
    char text[16];
    int r = ma_ktext_read_at(p->dir_fd, "oom_score_adj", text, sizeof(text));
    if (r < 0) {
        return explain(p, "oom_score_adj", as_gone(r), err);
    }
    const char *at = text;
    bool is_negative = *at == '-';
    uint64_t v;
    at += is_negative;
    if (!ma_ktext_u64(&at, &v) || v > 1000 || (*at != '\n' && *at != '\0')) {
        return explain(p, "oom_score_adj", -EINVAL, err);
    }
    *ret = is_negative ? -(int) v : (int) v;
    return 0;
}

int ma_process_read_cgroup(const struct ma_process *p,
                           struct ma_process_cgroup *ret,
                           struct ma_err *err) {
    struct ma_process_cgroup c = {.has_v2 = false};
    int r = read_lines(p, "cgroup", '\n', ma_process_cgroup_parse_line, &c);
    if (r < 0) {
        return explain(p, "cgroup", r, err);
    }
    *ret = c;
    return 0;
}

static void read_exe(const struct ma_process *p, struct ma_process_identity *id) {
    char link[512];
    ssize_t n = readlinkat(p->dir_fd, "exe", link, sizeof(link) - 1);
    if (n <= 0 || (size_t) n >= sizeof(link) - 1) {
        return; /* EACCES without ptrace rights: argv[0] stands */
    }
    link[n] = '\0';
    const char *base = strrchr(link, '/');
    base = base != NULL ? base + 1 : link;
    size_t len = strcspn(base, " "); /* " (deleted)": QEMU was upgraded under it */
    len = len < sizeof(id->exe) ? len : sizeof(id->exe) - 1;
    memcpy(id->exe, base, len);
    id->exe[len] = '\0';
    id->is_exe_seen = true;
}

int ma_process_read_identity(const struct ma_process *p,
                             struct ma_process_identity *ret,
                             struct ma_err *err) {
    struct ma_process_identity id = {.is_qemu = false};
    int r = read_lines(p, "cmdline", '\0', ma_process_argument_parse, &id);
    if (r < 0) {
        return explain(p, "cmdline", r, err);
    }
    read_exe(p, &id);
    id.is_qemu = strncmp(id.exe, "qemu-system-", 12) == 0 || strcmp(id.exe, "qemu-kvm") == 0 ||
                 strcmp(id.exe, "kvm") == 0;
    *ret = id;
    return 0;
}
