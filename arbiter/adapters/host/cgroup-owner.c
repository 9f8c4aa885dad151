/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-owner.c - whose group a guest is in, and so whom to ask for a limit.
 *
 * systemd's rule is one writer for each group: the attributes of a unit's own group are systemd's, what lies below a
 * delegated unit is its service's (CGROUP_DELEGATION.md). A machine's scope is delegated to libvirt, whose groups begin
 * one level below. So memarb's caps go to the scope, through systemd, and an operator's `virsh memtune` to the group below:
 * neither overwrites the other, and the tighter one holds.
 *
 * The host's systemd knows a unit by its name alone. A container has units of its own, whose folders lie below the
 * container's and may be called as the host's are (machine-qemu-1-web.scope here and there): asked by that name the host's
 * would limit another guest. So the host's unit is the first on the path, with nothing but slices above it, and what has
 * units below it again has another manager.
 * Rejected: libvirt's hard_limit (it is RLIMIT_MEMLOCK as well: the next hotplug would fail by a cap on memory) and
 * soft_limit (an operator's own value would be lost). memory.oom.group has no property in systemd 252's scopes and no
 * place in libvirt: it is written into the guest's own group, where nobody else writes it. */
#include <string.h>

#include "cgroup-limits.h"

static const struct {
    const char *name, *text;
} lacks[MA_CGROUP_LACK_COUNT] = {
    [MA_CGROUP_LACK_NONE] = {"own", "it has a group of its own"},
    [MA_CGROUP_LACK_MEMORY] = {"no-memory-controller", "no cgroup counts its memory"},
    [MA_CGROUP_LACK_V1] = {"v1", "this host has cgroup v1"},
    [MA_CGROUP_LACK_HYBRID] = {"hybrid", "this host has its memory controller on cgroup v1"},
    [MA_CGROUP_LACK_SHARED] = {"shared", "others live in its cgroup"},
    [MA_CGROUP_LACK_USER] = {"user-session", "its cgroup is a user's session"},
    [MA_CGROUP_LACK_MANAGER] = {"other-manager",
                                "its cgroup is a container's, with a manager of its own"},
    [MA_CGROUP_LACK_UNIT] = {"no-unit", "no unit of systemd stands for its cgroup"},
};

const char *ma_cgroup_lack_name(enum ma_cgroup_lack lack) {
    return lack < MA_CGROUP_LACK_COUNT ? lacks[lack].name : "?";
}
const char *ma_cgroup_lack_text(enum ma_cgroup_lack lack) {
    return lack < MA_CGROUP_LACK_COUNT ? lacks[lack].text : "?";
}

static bool ends_with(const char *text, size_t n, const char *end) {
    size_t len = strlen(end);
    return n > len && memcmp(text + n - len, end, len) == 0;
}

static bool is_unit(const char *name, size_t n) {
    return ends_with(name, n, ".scope") || ends_with(name, n, ".service");
}

/* The first folder that is no slice: its name and length. */
static const char *below_slices(const char *path, size_t *ret_len) {
    for (const char *p = path + strspn(path, "/");; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (!ends_with(p, n, ".slice")) {
            *ret_len = n;
            return p;
        }
        p += n;
    }
}

/* Somebody below hands out groups by systemd's names, or by libvirt's. */
static bool is_managed(const char *path) {
    for (const char *p = path + strspn(path, "/"); *p != '\0'; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (is_unit(p, n) || ends_with(p, n, ".slice") || ends_with(p, n, ".libvirt-qemu")) {
            return true;
        }
        p += n;
    }
    return false;
}

static enum ma_cgroup_lack lack_of(const struct ma_cgroup *cg) {
    if (cg->dir_fd < 0) {
        return MA_CGROUP_LACK_MEMORY;
    }
    if (cg->layout != MA_CGROUP_V2) {
        return cg->layout == MA_CGROUP_HYBRID ? MA_CGROUP_LACK_HYBRID : MA_CGROUP_LACK_V1;
    }
    if (strncmp(cg->path, "/user.slice/", 12) == 0) {
        return MA_CGROUP_LACK_USER;
    }
    return cg->is_shared ? MA_CGROUP_LACK_SHARED : MA_CGROUP_LACK_NONE;
}

void ma_cgroup_owner_of(const struct ma_cgroup *cg, struct ma_cgroup_owner *ret) {
    size_t len = 0;
    *ret = (struct ma_cgroup_owner){.kind = MA_CGROUP_OWNER_NONE, .lack = lack_of(cg)};
    if (ret->lack != MA_CGROUP_LACK_NONE) {
        return;
    }
    const char *name = below_slices(cg->path, &len);
    const char *below = name + len;
    /* "_" stands before names that would be mistaken for the kernel's own files (systemd cg_unescape()). */
    size_t skip = name[0] == '_' ? 1 : 0;
    bool is_units = *below == '\0' || strcmp(below, "/libvirt") == 0;
    if (!is_unit(name, len) || len - skip >= sizeof(ret->unit)) {
        ret->lack = MA_CGROUP_LACK_UNIT;
    } else if (is_units) {
        ret->kind = MA_CGROUP_OWNER_SYSTEMD;
        memcpy(ret->unit, name + skip, len - skip);
        memcpy(ret->path, cg->path, (size_t) (below - cg->path));
    } else if (is_managed(below)) {
        ret->lack = MA_CGROUP_LACK_MANAGER;
    } else {
        ret->kind = MA_CGROUP_OWNER_FILES;
        memcpy(ret->path, cg->path, sizeof(ret->path));
    }
}
