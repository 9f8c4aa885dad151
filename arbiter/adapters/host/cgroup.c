/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup.c - finding the group whose memory figures are a guest's.
 *
 * libvirt puts QEMU's threads into SCOPE/libvirt/{emulator,vcpuN}, which are "threaded" and have no memory files; the
 * figures are those of the nearest group above that is no longer threaded. Names are escaped and cut by libvirt and
 * systemd: a path is only ever taken from /proc/PID/cgroup, never built. From a group without memory.current nothing
 * further up is taken either: that would be somebody else's sum.
 * A plain QEMU started from a shell shares its group with the shell: is_shared says that its figures are not the
 * guest's alone. Processes beside QEMU in libvirt's own groups are its helpers (swtpm, virtiofsd). */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "ktext.h"

const char *ma_cgroup_layout_name(enum ma_cgroup_layout layout) {
    switch (layout) {
    case MA_CGROUP_V2:
        return "v2";
    case MA_CGROUP_HYBRID:
        return "hybrid";
    case MA_CGROUP_V1:
        return "v1";
    case MA_CGROUP_NONE:
        break;
    }
    return "none";
}

static bool exists(int dir_fd, const char *name) {
    return faccessat(dir_fd, name, F_OK, 0) == 0;
}

int ma_cgroup_root_open(struct ma_cgroup_root *root, const char *cgroup_root, struct ma_err *err) {
    *root = (struct ma_cgroup_root){.layout = MA_CGROUP_NONE, .fd = -1};
    ma_auto_close int fd = open(cgroup_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return ma_err_set(err, -errno, "cannot open %s: %s", cgroup_root, strerror(errno));
    }
    if (exists(fd, "cgroup.controllers")) {
        char controllers[512];
        int r = ma_ktext_read_at(fd, "cgroup.controllers", controllers, sizeof(controllers));
        if (r > 0 && strstr(controllers, "memory") != NULL) {
            *root = (struct ma_cgroup_root){.layout = MA_CGROUP_V2, .fd = fd};
            fd = -1;
        }
        return 0;
    }
    if (exists(fd, "memory/memory.usage_in_bytes")) {
        bool is_hybrid = exists(fd, "unified/cgroup.controllers");
        root->fd = openat(fd, "memory", O_DIRECTORY | O_PATH | O_CLOEXEC);
        if (root->fd < 0) {
            return ma_err_set(err, -errno, "cannot open %s/memory: %s", cgroup_root,
                              strerror(errno));
        }
        root->layout = is_hybrid ? MA_CGROUP_HYBRID : MA_CGROUP_V1;
    }
    return 0;
}

void ma_cgroup_root_close(struct ma_cgroup_root *root) {
    ma_cleanup_close(&root->fd);
    *root = (struct ma_cgroup_root){.layout = MA_CGROUP_NONE, .fd = -1};
}

static int open_group(const struct ma_cgroup_root *root, const char *path) {
    path += strspn(path, "/");
    int fd = openat(root->fd, *path != '\0' ? path : ".", O_DIRECTORY | O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool is_threaded(int dir_fd) {
    char type[32];
    int r = ma_ktext_read_at(dir_fd, "cgroup.type", type, sizeof(type));
    return r > 0 && strcmp(type, "threaded\n") == 0;
}

/* Opens `path`, or the nearest group above it that is not threaded; cuts `path` accordingly. */
static int open_domain(const struct ma_cgroup_root *root, char *path) {
    for (;;) {
        ma_auto_close int fd = open_group(root, path);
        if (fd < 0) {
            return fd;
        }
        char *slash = strrchr(path, '/');
        if (root->layout != MA_CGROUP_V2 || !is_threaded(fd) || slash == NULL || slash == path) {
            int kept = fd;
            fd = -1;
            return kept;
        }
        *slash = '\0';
    }
}

struct neighbours {
    uint64_t pid;
    bool has_itself;
    bool has_others;
};

static int look_at_pid(void *userdata, const char *line) {
    struct neighbours *n = userdata;
    uint64_t pid;
    if (ma_ktext_u64(&line, &pid) && pid == n->pid) {
        n->has_itself = true;
    } else {
        n->has_others = true;
    }
    return n->has_others ? 1 : 0;
}

static bool is_shared(int dir_fd, const char *path, pid_t pid) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    struct neighbours n = {.pid = (uint64_t) pid};
    if (path[strspn(path, "/")] == '\0') {
        return true;
    }
    if (strstr(path, "/machine-qemu") != NULL || strstr(path, ".libvirt-qemu") != NULL) {
        return false; /* libvirt's, one per guest (the second name: hosts without systemd) */
    }
    ma_auto_close int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    int r = ma_ktext_each_line(fd, '\n', buf, look_at_pid, &n);
    return r < 0 || n.has_others || !n.has_itself;
}

static int
take(struct ma_cgroup *cg, const struct ma_cgroup_root *root, int fd, struct ma_err *err) {
    const char *usage = root->layout == MA_CGROUP_V2 ? "memory.current" : "memory.usage_in_bytes";
    if (!exists(fd, usage)) {
        (void) close(fd); /* only looked at */
        return ma_err_set(err, -ENOENT,
                          "cgroup %s has no %s: the memory controller is not enabled for it",
                          cg->path, usage);
    }
    cg->dir_fd = fd;
    cg->layout = root->layout;
    return 0;
}

static int explain(int code, const char *path, struct ma_err *err) {
    code = code == -ENOENT ? -ENODEV : code;
    return ma_err_set(err, code, "cannot open cgroup %s: %s", path, strerror(-code));
}

int ma_cgroup_open_of(struct ma_cgroup *cg,
                      const struct ma_cgroup_root *root,
                      const struct ma_process_cgroup *where,
                      pid_t pid,
                      struct ma_err *err) {
    bool is_v2 = root->layout == MA_CGROUP_V2;
    *cg = MA_CGROUP_CLOSED;
    if (root->layout == MA_CGROUP_NONE || !(is_v2 ? where->has_v2 : where->has_v1_memory)) {
        return ma_err_set(err, -ENOENT, "process %d: no memory cgroup (layout %s)", pid,
                          ma_cgroup_layout_name(root->layout));
    }
    memcpy(cg->path, is_v2 ? where->v2 : where->v1_memory, sizeof(cg->path));
    int fd = open_domain(root, cg->path);
    if (fd < 0) {
        return explain(fd, cg->path, err);
    }
    int r = take(cg, root, fd, err);
    if (r == 0) {
        cg->is_shared = is_shared(fd, cg->path, pid);
    }
    return r;
}

bool ma_cgroup_look_again(struct ma_cgroup *cg,
                          const struct ma_cgroup_root *root,
                          const struct ma_process_cgroup *where,
                          pid_t pid) {
    struct ma_cgroup fresh;
    struct ma_err err;
    if (ma_cgroup_open_of(&fresh, root, where, pid, &err) < 0) {
        return false;
    }
    bool is_elsewhere = strcmp(fresh.path, cg->path) != 0;
    /* Once is no company: a process that QEMU starts for a moment lives there, too. */
    bool is_first = fresh.is_shared && !cg->is_shared && !cg->had_company;
    bool is_other = is_elsewhere || (fresh.is_shared != cg->is_shared && !is_first);
    if (is_other) {
        ma_cgroup_close(cg);
        *cg = fresh;
    } else {
        cg->had_company = fresh.is_shared;
        ma_cgroup_close(&fresh);
    }
    return is_other;
}

static bool climbs(const char *path) {
    for (const char *p = path; p != NULL; p = strchr(p, '/')) {
        p += strspn(p, "/");
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0')) {
            return true;
        }
    }
    return false;
}

int ma_cgroup_open_path(struct ma_cgroup *cg,
                        const struct ma_cgroup_root *root,
                        const char *path,
                        struct ma_err *err) {
    size_t n = strlen(path);
    *cg = MA_CGROUP_CLOSED;
    if (root->layout == MA_CGROUP_NONE) {
        return ma_err_set(err, -ENOENT, "cgroup %s: no memory controller on this host", path);
    }
    if (n >= sizeof(cg->path) || climbs(path)) {
        return ma_err_set(err, -EINVAL, "cgroup %s: too long a path, or one with \"..\"", path);
    }
    memcpy(cg->path, path, n + 1);
    int fd = open_group(root, path);
    if (fd < 0) {
        return explain(fd, path, err);
    }
    cg->is_shared = true; /* whoever names a group by hand means all that live in it */
    return take(cg, root, fd, err);
}

void ma_cgroup_close(struct ma_cgroup *cg) {
    ma_cleanup_close(&cg->dir_fd);
    *cg = MA_CGROUP_CLOSED;
}
