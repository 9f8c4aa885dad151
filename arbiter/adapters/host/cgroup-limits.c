/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-limits.c - see the header.
 *
 * systemd's rule is one writer for each group: the attributes of a unit's own group are systemd's, what lies below a
 * delegated unit is its service's (CGROUP_DELEGATION.md). A machine's scope is delegated to libvirt, whose groups begin
 * one level below. So memarb's caps go to the scope, through systemd, and an operator's `virsh memtune` to the group below:
 * neither overwrites the other, and the tighter one holds.
 * Rejected: libvirt's hard_limit (it is RLIMIT_MEMLOCK as well: the next hotplug would fail by a cap on memory) and
 * soft_limit (an operator's own value would be lost). memory.oom.group has no property in systemd 252's scopes and no
 * place in libvirt: it is written into the guest's own group, where nobody else writes it. */
#include "cgroup-limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ktext.h"

static bool ends_with(const char *text, size_t n, const char *end) {
    size_t len = strlen(end);
    return n > len && memcmp(text + n - len, end, len) == 0;
}

/* The unit that a path's deepest folder of a unit's name stands for; its end in the path, 0: none. */
static size_t find_unit(const char *path, const char **ret_name, size_t *ret_len) {
    size_t found = 0;
    for (const char *p = path; *p != '\0';) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (ends_with(p, n, ".scope") || ends_with(p, n, ".service")) {
            *ret_name = p;
            *ret_len = n;
            found = (size_t) (p - path) + n;
        }
        p += n;
    }
    return found;
}

void ma_cgroup_owner_of(const struct ma_cgroup *cg, struct ma_cgroup_owner *ret) {
    const char *name = NULL;
    size_t len = 0;
    *ret = (struct ma_cgroup_owner){.kind = MA_CGROUP_OWNER_NONE};
    if (cg->dir_fd < 0 || cg->layout != MA_CGROUP_V2 || cg->is_shared) {
        return;
    }
    size_t end = find_unit(cg->path, &name, &len);
    bool is_users =
        strstr(cg->path, "/user@") != NULL; /* a user's own manager is not the system's */
    if (end == 0 || is_users) {
        return;
    }
    /* "_" stands before names that would be mistaken for the kernel's own files (systemd cg_unescape()). */
    size_t skip = name[0] == '_' ? 1 : 0;
    bool is_units = cg->path[end] == '\0' || strcmp(cg->path + end, "/libvirt") == 0;
    if (!is_units) {
        ret->kind = MA_CGROUP_OWNER_FILES;
        memcpy(ret->path, cg->path, sizeof(ret->path));
    } else if (len - skip < sizeof(ret->unit)) {
        ret->kind = MA_CGROUP_OWNER_SYSTEMD;
        memcpy(ret->unit, name + skip, len - skip);
        memcpy(ret->path, cg->path, end);
    }
}

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
