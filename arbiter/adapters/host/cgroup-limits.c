/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-limits.c - see the header. */
#include "cgroup-limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ktext.h"

static const char *file_of(enum ma_limit limit) {
    switch (limit) {
    case MA_LIMIT_MEMORY_MAX:
    case MA_LIMIT_MEMORY_HIGH:
    case MA_LIMIT_SWAP_MAX:
    case MA_LIMIT_PIDS_MAX:
    case MA_LIMIT_CPU_MAX:
    case MA_LIMIT_OOM_GROUP:
        return ma_limit_name(limit);
    case MA_LIMIT_MEMLOCK:
    case MA_LIMIT_OOM_ADJ:
    case MA_LIMIT_COUNT:
        break;
    }
    return NULL;
}

/* The kernel's default, and systemd's. */
#define CPU_PERIOD_USEC UINT64_C(100000)

bool ma_cgroup_cpu_max_parse(const char *text, uint64_t *ret_usec_per_s) {
    uint64_t quota = 0;
    uint64_t period = 0;
    if (strncmp(text, "max", 3) == 0) {
        *ret_usec_per_s = MA_LIMIT_NONE;
        return true;
    }
    if (!ma_ktext_u64(&text, &quota) || *text++ != ' ' || !ma_ktext_u64(&text, &period) ||
        period == 0) {
        return false;
    }
    *ret_usec_per_s = ma_muldiv_sat(quota, MA_USEC_PER_SEC, period);
    return true;
}

static bool parse_value(enum ma_limit limit, const char *text, uint64_t *ret) {
    if (limit == MA_LIMIT_CPU_MAX) {
        return ma_cgroup_cpu_max_parse(text, ret);
    }
    return ma_ktext_bytes(text, ret); /* "max" is UINT64_MAX there */
}

int ma_cgroup_read_limit(int dir_fd, enum ma_limit limit, uint64_t *ret, struct ma_err *err) {
    char text[48];
    const char *file = file_of(limit);
    uint64_t value = 0;
    int r = file != NULL ? ma_ktext_read_at(dir_fd, file, text, sizeof(text)) : -EOPNOTSUPP;
    if (r > 0 && text[r - 1] == '\n') {
        text[r - 1] = '\0';
    }
    if (r >= 0 && !parse_value(limit, text, &value)) {
        r = -EINVAL;
    }
    if (r < 0) {
        return ma_err_set(err, r, "cannot read %s: %s", ma_limit_name(limit), strerror(-r));
    }
    *ret = value;
    return 0;
}

static void format_value(enum ma_limit limit, uint64_t value, char *buf, size_t size) {
    bool is_cpu = limit == MA_LIMIT_CPU_MAX;
    if (value == MA_LIMIT_NONE) {
        (void) snprintf(buf, size, "max");
    } else if (is_cpu) {
        (void) snprintf(buf, size, "%llu %llu",
                        (unsigned long long) ma_muldiv_sat(value, CPU_PERIOD_USEC, MA_USEC_PER_SEC),
                        (unsigned long long) CPU_PERIOD_USEC);
    } else {
        (void) snprintf(buf, size, "%llu", (unsigned long long) value);
    }
}

int ma_cgroup_write_limit_worker(int dir_fd,
                                 enum ma_limit limit,
                                 uint64_t value,
                                 struct ma_err *err) {
    char text[48];
    const char *file = file_of(limit);
    if (file == NULL) {
        return ma_err_set(err, -EOPNOTSUPP, "%s is no cgroup's", ma_limit_name(limit));
    }
    format_value(limit, value, text, sizeof(text));
    ma_auto_close int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && write(fd, text, strlen(text)) < 0) {
        r = -errno;
    }
    return r == 0 ? 0 : ma_err_set(err, r, "cannot write %s: %s", file, strerror(-r));
}

int ma_cgroup_read_tasks(int dir_fd, uint64_t *ret, struct ma_err *err) {
    char text[32];
    const char *p = text;
    int r = ma_ktext_read_at(dir_fd, "pids.current", text, sizeof(text));
    if (r >= 0 && !ma_ktext_u64(&p, ret)) {
        r = -EINVAL;
    }
    return r < 0 ? ma_err_set(err, r, "cannot read pids.current: %s", strerror(-r)) : 0;
}
