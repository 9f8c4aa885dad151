/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cgroup-limits.h - who owns the group that a guest is limited by, and the limits in its files. v2 only. No allocation. */

#include "cgroup.h"
#include "limit.h"

/* systemd cuts unit names at this (unit-name.h UNIT_NAME_MAX). */
#define MA_UNIT_NAME_MAX 256

/* Why a guest's group cannot be limited. */
enum ma_cgroup_lack {
    MA_CGROUP_LACK_NONE,
    MA_CGROUP_LACK_MEMORY, /* no memory controller on this host, or none enabled for it */
    MA_CGROUP_LACK_V1,
    MA_CGROUP_LACK_HYBRID,
    MA_CGROUP_LACK_SHARED,
    MA_CGROUP_LACK_USER,    /* a login session, or a user's own manager: qemu:///session */
    MA_CGROUP_LACK_MANAGER, /* a container's: its own systemd, or a libvirt without one */
    MA_CGROUP_LACK_UNIT,    /* in no unit of the host's systemd */
    MA_CGROUP_LACK_COUNT
};
const char *ma_cgroup_lack_name(enum ma_cgroup_lack lack); /* "own", "v1", ... */
const char *ma_cgroup_lack_text(enum ma_cgroup_lack lack); /* a sentence without its stop */

enum ma_cgroup_owner_kind {
    MA_CGROUP_OWNER_NONE,    /* hands off; `lack` says why */
    MA_CGROUP_OWNER_SYSTEMD, /* a unit's own group: its attributes are systemd's to write */
    MA_CGROUP_OWNER_FILES,   /* below a unit, in what was delegated: its files are written */
};
struct ma_cgroup_owner {
    enum ma_cgroup_owner_kind kind;
    enum ma_cgroup_lack lack;
    char unit[MA_UNIT_NAME_MAX]; /* SYSTEMD: as its folder is called */
    /* of the group that is limited: the unit's, or the guest's own */
    char path[MA_CGROUP_PATH_MAX];
};
/* Pure: told by the path. libvirt's guests are in SCOPE/libvirt, and the scope is limited. A closed group lacks all. */
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
