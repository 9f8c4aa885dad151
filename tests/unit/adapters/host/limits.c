/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limits.c - whose group may be limited, its files as the kernel writes them, and the limits of a real process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bytes.h"
#include "cgroup-limits.h"
#include "ktext.h"
#include "process-limits.h"
#include "tap.h"
#include "tree.h"

static struct ma_cgroup_owner owner_of(const char *path, bool is_shared) {
    struct ma_cgroup_owner owner;
    struct ma_cgroup cg = {.dir_fd = 0, .layout = MA_CGROUP_V2, .is_shared = is_shared};
    (void) snprintf(cg.path, sizeof(cg.path), "%s", path);
    ma_cgroup_owner_of(&cg, &owner);
    return owner;
}

static const struct {
    const char *path;
    enum ma_cgroup_owner_kind kind;
    const char *unit, *limited;
    const char *lack;
} owners[] = {
    {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt", MA_CGROUP_OWNER_SYSTEMD,
     "machine-qemu\\x2d1\\x2dweb.scope", "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", "own"},
    {"/qemu.slice/100.scope", MA_CGROUP_OWNER_SYSTEMD, "100.scope", "/qemu.slice/100.scope", "own"},
    {"/system.slice/vm.service", MA_CGROUP_OWNER_SYSTEMD, "vm.service", "/system.slice/vm.service",
     "own"},
    {"/a.slice/a-b.slice/vm.service", MA_CGROUP_OWNER_SYSTEMD, "vm.service",
     "/a.slice/a-b.slice/vm.service", "own"},
    {"/system.slice/_cgroup.x.service", MA_CGROUP_OWNER_SYSTEMD, "cgroup.x.service",
     "/system.slice/_cgroup.x.service", "own"},
    {"/system.slice/vms.service/web", MA_CGROUP_OWNER_FILES, "", "/system.slice/vms.service/web",
     "own"},
    /* docker and podman with systemd: QEMU alone in its container */
    {"/system.slice/docker-9f1c.scope", MA_CGROUP_OWNER_SYSTEMD, "docker-9f1c.scope",
     "/system.slice/docker-9f1c.scope", "own"},
    {"/machine.slice/libpod-9f1c.scope/container", MA_CGROUP_OWNER_FILES, "",
     "/machine.slice/libpod-9f1c.scope/container", "own"},
    /* a user's, and session libvirtd's */
    {"/user.slice/user-0.slice/user@0.service/app.slice/vm.scope", MA_CGROUP_OWNER_NONE, "", "",
     "user-session"},
    {"/user.slice/user-1000.slice/user@1000.service/user.slice/libvirtd.service",
     MA_CGROUP_OWNER_NONE, "", "", "user-session"},
    {"/user.slice/user-1000.slice/session-3.scope", MA_CGROUP_OWNER_NONE, "", "", "user-session"},
    /* containers with a systemd of their own (systemd-nspawn, docker, LXC): the host may have a unit of that name, too */
    {"/machine.slice/machine-lab.scope/payload/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/"
     "libvirt",
     MA_CGROUP_OWNER_NONE, "", "", "other-manager"},
    {"/system.slice/docker-9f1c.scope/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt",
     MA_CGROUP_OWNER_NONE, "", "", "other-manager"},
    {"/system.slice/docker-9f1c.scope/init.scope", MA_CGROUP_OWNER_NONE, "", "", "other-manager"},
    {"/lxc.payload.lab/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt",
     MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/lxc/lab/system.slice/vm.service", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    /* libvirt in a container or on a host without systemd; Kubernetes' and docker's own groups */
    {"/kubepods.slice/kubepods-pod1.slice/cri-containerd-77.scope/machine/qemu-1-web.libvirt-qemu",
     MA_CGROUP_OWNER_NONE, "", "", "other-manager"},
    {"/machine/qemu-1-web.libvirt-qemu", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/kubepods/besteffort/pod1/77", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/docker/9f1c", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/machine.slice", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/.scope", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"/", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
    {"", MA_CGROUP_OWNER_NONE, "", "", "no-unit"},
};

static void the_owner_is_told_by_the_path(void) {
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        (void) fprintf(stderr, "#   %s\n", owners[i].path);
        struct ma_cgroup_owner owner = owner_of(owners[i].path, false);
        CHECK_U64(owner.kind, owners[i].kind);
        CHECK_STR(owner.unit, owners[i].unit);
        CHECK_STR(owner.path, owners[i].limited);
        CHECK_STR(ma_cgroup_lack_name(owner.lack), owners[i].lack);
    }
}

static void what_a_group_lacks_is_named(void) {
    static const struct {
        struct ma_cgroup cg;
        const char *lack;
    } rows[] = {
        {{.dir_fd = -1, .layout = MA_CGROUP_V2, .path = "/vm.slice/a.scope"},
         "no-memory-controller"},
        {{.layout = MA_CGROUP_V1, .path = "/vm.slice/a.scope"}, "v1"},
        {{.layout = MA_CGROUP_HYBRID, .path = "/vm.slice/a.scope"}, "hybrid"},
        {{.layout = MA_CGROUP_V2, .is_shared = true, .path = "/vm.slice/a.scope"}, "shared"},
        {{.layout = MA_CGROUP_V2,
          .is_shared = true,
          .path = "/user.slice/user-0.slice/session-1.scope"},
         "user-session"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_cgroup_owner owner;
        ma_cgroup_owner_of(&rows[i].cg, &owner);
        CHECK_U64(owner.kind, MA_CGROUP_OWNER_NONE);
        CHECK_STR(ma_cgroup_lack_name(owner.lack), rows[i].lack);
        CHECK(strlen(ma_cgroup_lack_text(owner.lack)) > 10);
    }
}

static void cpu_max_is_a_rate(void) {
    uint64_t usec = 0;
    CHECK(ma_cgroup_cpu_max_parse("max 100000\n", &usec));
    CHECK_U64(usec, MA_LIMIT_NONE);
    CHECK(ma_cgroup_cpu_max_parse("150000 100000\n", &usec));
    CHECK_U64(usec, 1500000);
    static const char *const bad[] = {"", "x", "1", "1 ", "1 0", "-1 100000", "1,100000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!ma_cgroup_cpu_max_parse(bad[i], &usec));
    }
}

static void files_are_read_and_written_as_the_kernel_has_them(void) {
    struct tree t;
    struct ma_err err;
    uint64_t value = 0;
    char text[64];
    tree_make(&t);
    tree_write(&t, "memory.max", "max\n");
    tree_write(&t, "memory.high", "4294967296\n");
    tree_write(&t, "pids.max", "garbage\n");
    tree_write(&t, "pids.current", "17\n");
    tree_write(&t, "cpu.max", "max 100000\n");
    int dir = open(t.root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_MEMORY_MAX, &value, &err), 0);
    CHECK_U64(value, MA_LIMIT_NONE);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_MEMORY_HIGH, &value, &err), 0);
    CHECK_U64(value, 4 * MA_GIB);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_PIDS_MAX, &value, &err), -EINVAL);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_SWAP_MAX, &value, &err), -ENOENT);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_MEMLOCK, &value, &err), -EOPNOTSUPP);
    CHECK_I64(ma_cgroup_read_tasks(dir, &value, &err), 0);
    CHECK_U64(value, 17);
    CHECK_I64(ma_cgroup_write_limit_worker(dir, MA_LIMIT_CPU_MAX, 400000, &err), 0);
    CHECK_I64(ma_cgroup_read_limit(dir, MA_LIMIT_CPU_MAX, &value, &err), 0);
    CHECK_U64(value, 400000);
    tree_write(&t, "memory.high", "");
    CHECK_I64(ma_cgroup_write_limit_worker(dir, MA_LIMIT_MEMORY_HIGH, MA_LIMIT_NONE, &err), 0);
    CHECK_I64(ma_ktext_read_at(dir, "memory.high", text, sizeof(text)), 3);
    CHECK_STR(text, "max");
    CHECK_I64(ma_cgroup_write_limit_worker(dir, MA_LIMIT_SWAP_MAX, 0, &err), -ENOENT);
    CHECK_I64(ma_cgroup_write_limit_worker(dir, MA_LIMIT_OOM_ADJ, 0, &err), -EOPNOTSUPP);
    (void) close(dir);
    tree_remove(&t);
}

/* A real child: what is set is what the kernel then says, and what was before can be put back. */
static void limits_of_a_process_are_set_and_put_back(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_memlock before = {0};
    struct ma_process_memlock now = {0};
    int adj = 0;
    pid_t child = fork();
    if (child == 0) {
        (void) pause();
        _exit(0);
    }
    CHECK(child > 0);
    CHECK_I64(ma_process_open(&p, "/proc", child, &err), 0);
    CHECK_I64(ma_process_read_memlock(&p, &before, &err), 0);
    struct ma_process_memlock lower = {.soft_bytes = MA_MIB, .hard_bytes = before.hard_bytes};
    CHECK_I64(ma_process_set_memlock(&p, &lower, &err), 0);
    struct rlimit real;
    CHECK(prlimit(child, RLIMIT_MEMLOCK, NULL, &real) == 0);
    CHECK_U64(real.rlim_cur, MA_MIB);
    CHECK_U64(real.rlim_max, before.hard_bytes);
    CHECK_I64(ma_process_set_memlock(&p, &before, &err), 0);
    CHECK_I64(ma_process_read_memlock(&p, &now, &err), 0);
    CHECK(now.soft_bytes == before.soft_bytes && now.hard_bytes == before.hard_bytes);
    int start = 0;
    CHECK_I64(ma_process_read_oom_score_adj(&p, &start, &err), 0);
    CHECK_I64(ma_process_set_oom_score_adj(&p, 900, &err), 0);
    CHECK_I64(ma_process_read_oom_score_adj(&p, &adj, &err), 0);
    CHECK_I64(adj, 900);
    CHECK_I64(ma_process_set_oom_score_adj(&p, start, &err), 0);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    CHECK_I64(ma_process_set_memlock(&p, &before, &err), -ESRCH);
    CHECK_I64(ma_process_set_oom_score_adj(&p, 0, &err), -ESRCH);
    ma_process_close(&p);
}

/* Who cannot raise a hard limit must not lower one. */
static void the_capability_is_told_as_the_kernel_has_it(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_sample s;
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    CHECK_I64(ma_process_read(&p, &s, &err), 0);
    CHECK((s.has & MA_PROCESS_HAS_CAPABILITIES) != 0);
    bool can = (s.capabilities >> MA_PROCESS_CAP_SYS_RESOURCE & 1U) != 0;
    CHECK(ma_process_can_raise_limits("/proc") == can);
    CHECK(!ma_process_can_raise_limits("/nowhere"));
    ma_process_close(&p);
}

TAP_MAIN(TAP_CASE(the_owner_is_told_by_the_path),
         TAP_CASE(what_a_group_lacks_is_named),
         TAP_CASE(cpu_max_is_a_rate),
         TAP_CASE(files_are_read_and_written_as_the_kernel_has_them),
         TAP_CASE(limits_of_a_process_are_set_and_put_back),
         TAP_CASE(the_capability_is_told_as_the_kernel_has_it));
