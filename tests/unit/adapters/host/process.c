/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bytes.h"
#include "process-limits.h"
#include "process.h"
#include "snapshot.h"
#include "tap.h"
#include "tree.h"

/* A child that runs `body` and then waits to be told to end by its pipe being closed. */
struct child {
    pid_t pid;
    int tell;
};
static struct child child_start(void (*body)(void)) {
    int down[2];
    int up[2];
    char byte = 'x';
    CHECK(pipe(down) == 0 && pipe(up) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void) close(down[1]);
        if (body != NULL) {
            body();
        }
        _exit(write(up[1], &byte, 1) == 1 && read(down[0], &byte, 1) == 0 ? 0 : 1);
    }
    (void) close(down[0]);
    (void) close(up[1]);
    CHECK(read(up[0], &byte, 1) == 1);
    (void) close(up[0]);
    return (struct child){.pid = pid, .tell = down[1]};
}
static void wait_for_end(const struct ma_process *p) {
    struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
    CHECK(poll(&fd, 1, 20000) == 1);
}

#define HELD_BYTES (4 * MA_MIB) /* below any default RLIMIT_MEMLOCK */
/* By number: sanitizers make mlock() do nothing. */
static void lock_memory(void) {
    char *m = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED || syscall(SYS_mlock, m, HELD_BYTES) != 0) {
        _exit(2);
    }
}
static void fill_memory(void) {
    char *m = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED) {
        _exit(2);
    }
    memset(m, 1, HELD_BYTES);
}

static void locked_and_shared_memory_is_seen(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_sample s;
    struct child c = child_start(lock_memory);
    CHECK_I64(ma_process_open(&p, "/proc", c.pid, &err), 0);
    CHECK_I64(ma_process_read(&p, &s, &err), 0);
    CHECK_U64(s.has, 0x3ff);
    CHECK(s.locked_bytes >= HELD_BYTES && s.rss_anon_bytes >= HELD_BYTES);
    CHECK(s.rss_bytes >= s.rss_anon_bytes);
    CHECK_U64(s.uid, getuid());
    CHECK_U64(s.threads, 1);
    (void) close(c.tell);
    wait_for_end(&p);
    CHECK(waitpid(c.pid, NULL, 0) == c.pid);
    ma_process_close(&p);
    c = child_start(fill_memory);
    CHECK_I64(ma_process_open(&p, "/proc", c.pid, &err), 0);
    CHECK_I64(ma_process_read(&p, &s, &err), 0);
    CHECK(s.rss_shmem_bytes >= HELD_BYTES);
    CHECK_U64(s.locked_bytes, 0);
    (void) close(c.tell);
    CHECK(waitpid(c.pid, NULL, 0) == c.pid);
    ma_process_close(&p);
}

static void end_is_seen_and_its_files_never_answer_again(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_sample s;
    struct ma_process_cpu cpu;
    struct child c = child_start(NULL);
    CHECK_I64(ma_process_open(&p, "/proc", c.pid, &err), 0);
    CHECK(!ma_process_is_gone(&p));
    (void) close(c.tell);
    wait_for_end(&p);
    CHECK(ma_process_is_gone(&p));
    CHECK_I64(ma_process_read(&p, &s, &err), -ESRCH); /* a zombie has no memory */
    CHECK(waitpid(c.pid, NULL, 0) == c.pid);
    CHECK_I64(ma_process_read(&p, &s, &err), -ESRCH);
    CHECK_I64(ma_process_read_cpu(&p, &cpu, &err), -ESRCH);
    CHECK_I64(ma_process_kill(&p, &err), -ESRCH);
    ma_process_close(&p);
    CHECK_I64(ma_process_open(&p, "/proc", c.pid, &err), -ESRCH);
    CHECK_I64(p.pidfd, -1);
}

static void kill_reaches_a_stopped_process(void) {
    struct ma_err err;
    struct ma_process p;
    enum ma_release_result released = MA_RELEASE_UNSUPPORTED;
    int status = 0;
    struct child c = child_start(fill_memory);
    CHECK_I64(ma_process_open(&p, "/proc", c.pid, &err), 0);
    CHECK(kill(c.pid, SIGSTOP) == 0);
    CHECK_I64(ma_process_release_memory_worker(&p, &released, &err), -EINVAL); /* it is not dying */
    CHECK_I64(ma_process_kill(&p, &err), 0);
    CHECK_I64(ma_process_release_memory_worker(&p, &released, &err), 0);
    wait_for_end(&p);
    CHECK(waitpid(c.pid, &status, 0) == c.pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_I64(ma_process_release_memory_worker(&p, &released, &err), 0);
    CHECK(released == MA_RELEASE_ALREADY || released == MA_RELEASE_UNSUPPORTED);
    ma_process_close(&p);
    (void) close(c.tell);
    CHECK_I64(ma_process_kill(&p, &err), -EBADF);
}

static void not_a_process_is_refused(void) {
    struct ma_err err;
    struct ma_process p;
    CHECK_I64(ma_process_open(&p, "/proc", 0, &err), -ESRCH);
    CHECK_I64(ma_process_open(&p, "/proc", -1, &err), -ESRCH);
    CHECK_I64(ma_process_open(&p, "/proc", 4194304, &err), -ESRCH); /* above any pid_max */
    CHECK_I64(ma_process_open_files(&p, "/nowhere", 1, &err), -ESRCH);
}

static void own_limit_cpu_and_score_are_read(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_cpu cpu;
    struct ma_process_cgroup group;
    struct ma_process_memlock limit = {0};
    int adj = -2000;
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    CHECK_I64(ma_process_read_memlock(&p, &limit, &err), 0);
    CHECK(limit.soft_bytes > 0 && limit.hard_bytes >= limit.soft_bytes);
    CHECK_I64(ma_process_read_oom_score_adj(&p, &adj, &err), 0);
    CHECK(adj >= -1000 && adj <= 1000);
    CHECK_I64(ma_process_read_cpu(&p, &cpu, &err), 0);
    CHECK_U64(cpu.start_ticks, p.start_ticks);
    CHECK(cpu.state == 'R');
    CHECK_I64(ma_process_read_cgroup(&p, &group, &err), 0);
    CHECK(group.has_v2 || group.has_v1_memory);
    ma_process_close(&p);
}

static void descriptors_prove_devices(void) {
    static const struct {
        const char *link;
        uint32_t bit;
    } links[] = {
        {"/dev/vfio/12", MA_INHIBITOR_VFIO},
        {"/dev/vfio/vfio", MA_INHIBITOR_VFIO},
        {"/dev/vfio/devices/vfio0", MA_INHIBITOR_VFIO},
        {"anon_inode:[vfio-device]", MA_INHIBITOR_VFIO},
        {"/dev/iommu", MA_INHIBITOR_VFIO},
        {"/dev/vhost-vdpa-0", MA_INHIBITOR_VDPA},
        {"/dev/sev", MA_INHIBITOR_CONFIDENTIAL},
        {"/dev/kvm", 0},
        {"/dev/vhost-net", 0},
        {"", 0},
        {"/tmp/dev/vfio/1", 0},
        {"socket:[1]", 0},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        CHECK_U64(ma_process_device_inhibitor(links[i].link), links[i].bit);
    }
    struct tree t;
    struct ma_err err;
    struct ma_process p;
    struct ma_process_devices seen = {.is_cut = true};
    char path[256];
    tree_make(&t);
    tree_write(&t, "7/stat", "7 (q) S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 900 0 0\n");
    tree_write(&t, "7/fd/0", "");
    CHECK(symlink("/dev/vfio/3", tree_path(&t, "7/fd/9", path)) == 0);
    CHECK(symlink("anon_inode:[vfio-device]", tree_path(&t, "7/fd/10", path)) == 0);
    CHECK(symlink("anon_inode:[vfio-device]", tree_path(&t, "7/fd/11", path)) == 0);
    CHECK(symlink("/dev/vhost-vdpa-0", tree_path(&t, "7/fd/12", path)) == 0);
    CHECK_I64(ma_process_open_files(&p, t.root, 7, &err), 0);
    CHECK_I64(ma_process_read_devices(&p, &seen, &err), 0);
    CHECK_U64(seen.inhibited_by, MA_INHIBITOR_VFIO | MA_INHIBITOR_VDPA);
    CHECK_U64(seen.n_vfio, 2); /* the group is no device */
    CHECK_U64(seen.n_vdpa, 1);
    CHECK(!seen.is_cut);
    ma_process_close(&p);
    tree_remove(&t);
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    CHECK_I64(ma_process_read_devices(&p, &seen, &err), 0);
    CHECK_U64(seen.inhibited_by, 0);
    ma_process_close(&p);
}

static void odd_stat_lines(void) {
    struct ma_process_cpu cpu;
    uint64_t hz = (uint64_t) sysconf(_SC_CLK_TCK);
    CHECK_I64(ma_process_stat_parse(
                  "1 (a) b) S 9) T 1 1 1 0 -1 0 0 0 0 0 100 200 0 0 20 0 1 0 77 0\n", &cpu),
              0);
    CHECK(cpu.state == 'T');
    CHECK_U64(cpu.start_ticks, 77);
    CHECK_U64(cpu.cpu_usec, 300 * MA_USEC_PER_SEC / hz);
    static const char *const bad[] = {
        "",
        ")",
        ") ",
        "1 (a) S",
        "1 (a) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0",
        "1 (a) S 1 1 1 0 -1 0 0 0 0 0 -1 2 0 0 20 0 1 0 77 0",
        "1 (a) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 99999999999999999999 0",
        "1 (a) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 7"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_process_stat_parse(bad[i], &cpu), -EINVAL);
    }
}

static void io_is_all_four_figures(void) {
    uint64_t bytes = 0;
    CHECK_I64(ma_process_io_parse("rchar: 1\nwchar: 20\nsyscr: 7\nsyscw: 7\nread_bytes: 300\n"
                                  "write_bytes: 4000\ncancelled_write_bytes: 9\n",
                                  &bytes),
              0);
    CHECK_U64(bytes, 4321);
    static const char *const bad[] = {
        "",
        "rchar: 1\nwchar: 2\nread_bytes: 3\n",
        "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: -4\n",
        "rchar: 18446744073709551616\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_process_io_parse(bad[i], &bytes), -EINVAL);
    }
}

static void odd_status_leaves_bits_clear(void) {
    struct ma_process_sample s = {0};
    static const char *const lines[] = {"Name:\tqemu-system-x86_64-and-more",
                                        "VmRSS:\t 99999999999999999999 kB",
                                        "VmLck:\t -4 kB",
                                        "VmPin:\t 12",
                                        "VmSwap:",
                                        "Uid:\t4294967296\t0",
                                        "VmRSSX: 3 kB",
                                        "HugetlbPages:\t 2048 kB"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK_I64(ma_process_status_parse_line(&s, lines[i]), 0);
    }
    CHECK_U64(s.has, MA_PROCESS_HAS_PINNED | MA_PROCESS_HAS_HUGETLB);
    CHECK_STR(s.comm, "qemu-system-x86");
    CHECK_I64(ma_process_status_parse_line(&s, "Threads:\t5"), 0);
    CHECK_I64(ma_process_status_parse_line(&s, "CapEff:\t0000000000004000"), 1);
    CHECK_U64(s.capabilities, 1U << MA_PROCESS_CAP_IPC_LOCK);
    s.has = 0;
    CHECK_I64(ma_process_status_parse_line(&s, "CapEff:\t00000000000040000"), 1);
    CHECK_I64(ma_process_status_parse_line(&s, "CapEff:\txyz"), 1);
    CHECK_U64(s.has, 0);
    CHECK_U64(s.threads, 5);
}

static void files_that_do_not_parse_are_named(void) {
    struct tree t;
    struct ma_err err = {0};
    struct ma_process p;
    struct ma_process_memlock limit;
    int adj;
    tree_make(&t);
    tree_write(&t, "7/stat", "7 (q) S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 900 0 0\n");
    tree_write(&t, "8/stat", "garbage");
    tree_write(&t, "7/limits", "Max locked memory         many      many     bytes\n");
    tree_write(&t, "7/oom_score_adj", "2000\n");
    CHECK_I64(ma_process_open_files(&p, t.root, 8, &err), -EINVAL);
    CHECK(strstr(err.message, "stat") != NULL);
    CHECK_I64(ma_process_open_files(&p, t.root, 7, &err), 0);
    CHECK_U64(p.start_ticks, 900);
    CHECK(!ma_process_is_gone(&p));
    CHECK_I64(ma_process_read_memlock(&p, &limit, &err), -EINVAL);
    CHECK(strstr(err.message, "RLIMIT_MEMLOCK") != NULL);
    CHECK_I64(ma_process_read_oom_score_adj(&p, &adj, &err), -EINVAL);
    tree_write(&t, "7/oom_score_adj", "-900\n");
    CHECK_I64(ma_process_read_oom_score_adj(&p, &adj, &err), 0);
    CHECK_I64(adj, -900);
    tree_write(&t, "7/limits",
               "Max cpu time   unlimited\nMax locked memory         65536  unlimited  bytes\n");
    CHECK_I64(ma_process_read_memlock(&p, &limit, &err), 0);
    CHECK_U64(limit.soft_bytes, 65536);
    CHECK_U64(limit.hard_bytes, UINT64_MAX);
    tree_write(&t, "7/limits",
               "Max locked memory         8388608              8388608              bytes\n");
    CHECK_I64(ma_process_read_memlock(&p, &limit, &err), 0);
    CHECK_U64(limit.soft_bytes, 8 * MA_MIB);
    CHECK_U64(limit.hard_bytes, 8 * MA_MIB);
    tree_write(&t, "7/limits", "");
    CHECK_I64(ma_process_read_memlock(&p, &limit, &err), -ENODATA);
    ma_process_close(&p);
    tree_remove(&t);
}

TAP_MAIN(TAP_CASE(locked_and_shared_memory_is_seen),
         TAP_CASE(end_is_seen_and_its_files_never_answer_again),
         TAP_CASE(kill_reaches_a_stopped_process),
         TAP_CASE(not_a_process_is_refused),
         TAP_CASE(own_limit_cpu_and_score_are_read),
         TAP_CASE(descriptors_prove_devices),
         TAP_CASE(odd_stat_lines),
         TAP_CASE(io_is_all_four_figures),
         TAP_CASE(odd_status_leaves_bits_clear),
         TAP_CASE(files_that_do_not_parse_are_named));
