/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* self.c - see the header. ON_FAULT: without it mlockall touches every page of every library and thread stack, which
 * is tens of megabytes of which the alarm path needs a few. */
#include "self.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "ktext.h"

#ifndef MCL_ONFAULT
#    define MCL_ONFAULT 4
#endif

const char *ma_self_lock_name(enum ma_self_lock lock) {
    switch (lock) {
    case MA_SELF_LOCK_ON_FAULT:
        return "all, on fault";
    case MA_SELF_LOCK_CURRENT:
        return "what was mapped at start";
    case MA_SELF_LOCK_NONE:
        break;
    }
    return "nothing";
}

/* With a finite limit and no capability MCL_FUTURE may be granted, and then every later allocation beyond the limit
 * fails: worse than pages that may be swapped out. */
static bool can_lock_what_comes(void) {
    struct rlimit limit;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) {
        return true;
    }
    return syscall(SYS_capget, &header, caps) == 0 &&
           (caps[0].effective & (1U << CAP_IPC_LOCK)) != 0;
}

int ma_self_lock_memory(enum ma_self_lock *ret_lock, struct ma_err *err) {
    int why = EPERM;
    if (can_lock_what_comes()) {
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) {
            *ret_lock = MA_SELF_LOCK_ON_FAULT;
            return 0;
        }
        why = errno;
    }
    bool has_current = mlockall(MCL_CURRENT | MCL_ONFAULT) == 0;
    *ret_lock = has_current ? MA_SELF_LOCK_CURRENT : MA_SELF_LOCK_NONE;
    (void) ma_err_set(err, 0,
                      "own memory is not locked for good (%s: %s); set LimitMEMLOCK=infinity",
                      ma_self_lock_name(*ret_lock), strerror(why));
    return 0;
}

static int parse_adj(const char *text, int *ret) {
    const char *p = text;
    uint64_t v;
    bool is_negative = *p == '-';
    p += is_negative;
    if (!ma_ktext_u64(&p, &v) || v > 1000) {
        return -EINVAL;
    }
    *ret = is_negative ? -(int) v : (int) v;
    return 0;
}

static int write_adj(int fd, int adj) {
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", adj);
    return pwrite(fd, text, (size_t) n, 0) < 0 ? -errno : 0;
}

int ma_self_protect_from_oom(const char *proc_root, int adj, int *ret_adj, struct ma_err *err) {
    char path[256];
    char text[16];
    int now = 0;
    (void) snprintf(path, sizeof(path), "%s/self/oom_score_adj", proc_root);
    ma_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    int r = fd < 0 ? -errno : ma_ktext_read_fd(fd, text, sizeof(text));
    if (r >= 0) {
        r = parse_adj(text, &now);
    }
    if (r == 0 && now == 0 && adj != 0) {
        r = write_adj(fd, adj);
        now = adj;
    }
    if (r < 0) {
        return ma_err_set(err, r, "cannot set %s to %d: %s", path, adj, strerror(-r));
    }
    *ret_adj = now;
    return 0;
}

void ma_self_prefault(void *memory, size_t size) {
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    volatile char *p = memory;
    for (size_t at = 0; at < size; at += page) {
        p[at] = p[at];
    }
    if (size > 0) {
        p[size - 1] = p[size - 1];
    }
}

#define STACK_STEP_BYTES 4096U

/* Each call needs a frame of its own below the last; going down by frames is what any use of the stack does, so no
 * rule about accesses below the stack pointer is broken. */
/* 16 deep at most. NOLINTNEXTLINE(misc-no-recursion) */
static __attribute__((noinline)) void touch_frames(size_t left) {
    volatile char frame[STACK_STEP_BYTES];
    frame[0] = 0;
    frame[sizeof(frame) - 1] = 0;
    if (left > sizeof(frame)) {
        touch_frames(left - sizeof(frame));
    }
    frame[0] = 1; /* keeps the call from becoming a loop in one frame */
}

void ma_self_prefault_stack(void) {
    touch_frames(MA_SELF_STACK_BYTES);
}
