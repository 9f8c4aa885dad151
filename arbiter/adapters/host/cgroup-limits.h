/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cgroup-limits.h - who owns the group that a guest is limited by, and the limits in its files. v2 only. No allocation. */

#include "cgroup.h"
#include "limit.h"

/* systemd cuts unit names at this (unit-name.h UNIT_NAME_MAX). */
#define MA_UNIT_NAME_MAX 256

enum ma_cgroup_owner_kind {
    MA_CGROUP_OWNER_NONE, /* not the guest's alone, not v2, or a manager that memarb does not know: hands off */
    MA_CGROUP_OWNER_SYSTEMD, /* a unit's own group: its attributes are systemd's to write */
    MA_CGROUP_OWNER_FILES,   /* below a unit, in what was delegated: its files are written */
};
struct ma_cgroup_owner {
    enum ma_cgroup_owner_kind kind;
    char unit[MA_UNIT_NAME_MAX]; /* SYSTEMD: as its folder is called */
    char
        path[MA_CGROUP_PATH_MAX]; /* of the group that is limited: the unit's, or the guest's own */
};
/* Pure: told by the path. libvirt's guests are in SCOPE/libvirt, and the scope is limited. */
void ma_cgroup_owner_of(const struct ma_cgroup *cg, struct ma_cgroup_owner *ret);

/* The file of a limit below a group's folder; -ENOENT: the controller is not enabled there (then nothing limits it),
 * -EOPNOTSUPP: a limit that no cgroup has. MA_LIMIT_NONE: "max". */
int ma_cgroup_read_limit(int dir_fd, enum ma_limit limit, uint64_t *ret, struct ma_err *err);
/* May wait while the kernel reclaims: for a worker. */
int ma_cgroup_write_limit_worker(int dir_fd,
                                 enum ma_limit limit,
                                 uint64_t value,
                                 struct ma_err *err);
/* pids.current. */
int ma_cgroup_read_tasks(int dir_fd, uint64_t *ret, struct ma_err *err);
/* Pure: "max 100000" or "50000 100000" to microseconds a second. */
bool ma_cgroup_cpu_max_parse(const char *text, uint64_t *ret_usec_per_s);
