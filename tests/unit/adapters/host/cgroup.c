/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "bytes.h"
#include "cgroup-parse.h"
#include "ktext.h"
#include "tap.h"
#include "tree.h"

/* libvirt 9.0's tree on cgroup v2. */
#define SCOPE "machine.slice/machine-qemu\\x2d1\\x2dweb.scope"
static void make_v2(struct tree *t) {
    tree_make(t);
    tree_write(t, "cgroup.controllers", "cpuset cpu io memory pids\n");
    tree_write(t, SCOPE "/cgroup.type", "domain\n");
    tree_write(t, SCOPE "/libvirt/cgroup.type", "domain threaded\n");
    tree_write(t, SCOPE "/libvirt/emulator/cgroup.type", "threaded\n");
    tree_write(t, SCOPE "/libvirt/memory.current", "1073741824\n");
    tree_write(t, SCOPE "/libvirt/memory.max", "max\n");
    tree_write(t, SCOPE "/libvirt/memory.high", "2147483648\n");
    tree_write(t, SCOPE "/libvirt/memory.swap.current", "4096\n");
    tree_write(t, SCOPE "/libvirt/memory.swap.max", "0\n");
    tree_write(
        t, SCOPE "/libvirt/memory.stat",
        "anon 900000000\nfile 70000000\nkernel 1\nshmem 60000000\ninactive_anon 5\nactive_anon 6\n"
        "inactive_file 7\nactive_file 8\nunevictable 9\nslab_reclaimable 10\nanon_thp 11\n");
    tree_write(t, SCOPE "/libvirt/memory.events",
               "low 0\nhigh 3\nmax 4\noom 5\noom_kill 6\noom_group_kill 0\n");
    tree_write(t, SCOPE "/libvirt/memory.numa_stat",
               "anon N0=1000 N2=2000\nfile N0=70 N2=80\nkernel_stack N0=1 N2=1\nshmem N0=10 "
               "N2=20\nfile_mapped N0=5 N2=5\n");
    tree_write(t, SCOPE "/libvirt/memory.pressure",
               "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 "
               "avg300=0.00 total=0\n");
    tree_write(t, SCOPE "/libvirt/memory.reclaim", "");
}

static struct ma_process_cgroup where_of(const char *line) {
    struct ma_process_cgroup w = {0};
    CHECK_I64(ma_process_cgroup_parse_line(&w, line), 0);
    return w;
}

static void open_v2(const struct tree *t, struct ma_cgroup *cg) {
    struct ma_err err;
    struct ma_cgroup_root root;
    struct ma_process_cgroup w = where_of("0::/" SCOPE "/libvirt/emulator");
    CHECK_I64(ma_cgroup_root_open(&root, t->root, &err), 0);
    CHECK_STR(ma_cgroup_layout_name(root.layout), "v2");
    CHECK_I64(ma_cgroup_open_of(cg, &root, &w, 77, &err), 0);
    ma_cgroup_root_close(&root);
}

static void libvirts_threaded_group_leads_to_its_domain(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup cg;
    struct ma_cgroup_sample s;
    make_v2(&t);
    open_v2(&t, &cg);
    CHECK_STR(cg.path, "/" SCOPE "/libvirt");
    CHECK(!cg.is_shared);
    CHECK_I64(ma_cgroup_read(&cg, &s, &err), 0);
    CHECK_U64(s.has, 0x7f);
    CHECK_U64(s.current_bytes, 1 * MA_GIB);
    CHECK_U64(s.max_bytes, MA_CGROUP_UNLIMITED);
    CHECK_U64(s.high_bytes, 2 * MA_GIB);
    CHECK_U64(s.swap_max_bytes, 0);
    CHECK_U64(s.has_stat, (1U << MA_CGROUP_STAT_COUNT) - 1);
    CHECK_U64(s.stat_bytes[MA_CGROUP_STAT_ANON], 900000000);
    CHECK_U64(s.stat_bytes[MA_CGROUP_STAT_ACTIVE_FILE], 8);
    CHECK_U64(s.events[MA_CGROUP_EVENT_OOM], 5);
    CHECK_U64(s.events[MA_CGROUP_EVENT_OOM_KILL], 6);
    CHECK_U64(s.pressure.some_avg10_permyriad, 150);
    ma_cgroup_close(&cg);
    tree_remove(&t);
}

static void pages_per_node_are_anon_and_shmem(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup cg;
    struct ma_guest_node nodes[4];
    size_t n = 0;
    make_v2(&t);
    open_v2(&t, &cg);
    CHECK_I64(ma_cgroup_read_nodes(&cg, nodes, 4, &n, &err), 0);
    CHECK_U64(n, 2);
    CHECK(nodes[0].id == 0 && nodes[0].resident_bytes == 1010);
    CHECK(nodes[1].id == 2 && nodes[1].resident_bytes == 2020);
    CHECK_I64(ma_cgroup_read_nodes(&cg, nodes, 1, &n, &err), -ENOBUFS);
    static const char *const bad[] = {"anon N0=x\n", "anon N1024=1\n",
                                      "anon N=1\n",  "anon N0=99999999999999999999\n",
                                      "anon N0\n",   "anon N0=18446744073709551615\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tree_write(&t, SCOPE "/libvirt/memory.numa_stat", bad[i]);
        CHECK_I64(ma_cgroup_read_nodes(&cg, nodes, 4, &n, &err), -EINVAL);
        CHECK(strstr(err.message, "numa_stat") != NULL);
    }
    ma_cgroup_close(&cg);
    tree_remove(&t);
}

static void removed_or_broken_group_is_an_error(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup cg;
    struct ma_cgroup_sample s;
    make_v2(&t);
    open_v2(&t, &cg);
    static const char *const bad[] = {"", "max\n", "-1\n", "99999999999999999999\n", "12 34\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tree_write(&t, SCOPE "/libvirt/memory.current", bad[i]);
        CHECK_I64(ma_cgroup_read(&cg, &s, &err), -EINVAL);
        CHECK(strstr(err.message, "memory.current") != NULL);
    }
    tree_write(&t, SCOPE "/libvirt/memory.current", "5\n");
    tree_write(&t, SCOPE "/libvirt/memory.max", "lots\n");
    tree_write(&t, SCOPE "/libvirt/memory.stat", "anon -1\nanon\n");
    tree_write(&t, SCOPE "/libvirt/memory.pressure", "?");
    CHECK_I64(ma_cgroup_read(&cg, &s, &err), 0);
    CHECK_U64(s.has & (MA_CGROUP_HAS_MAX | MA_CGROUP_HAS_STAT), 0);
    CHECK_U64(s.pressure.has, 0);
    tree_remove(&t);
    CHECK_I64(ma_cgroup_read(&cg, &s, &err), -ENODEV);
    ma_cgroup_close(&cg);
}

static void group_shared_with_others_is_known(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup_root root;
    struct ma_cgroup cg;
    struct ma_cgroup_reclaim done;
    struct ma_cgroup_reclaim_request want = {.want_bytes = MA_MIB};
    make_v2(&t);
    tree_write(&t, "user.slice/memory.current", "5\n");
    tree_write(&t, "user.slice/memory.reclaim", "");
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), 0);
    struct ma_process_cgroup w = where_of("0::/user.slice");
    static const struct {
        const char *procs;
        bool is_shared;
    } rows[] = {{"77\n", false}, {"77\n78\n", true}, {"78\n", true}, {"x\n", true}, {"", true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tree_write(&t, "user.slice/cgroup.procs", rows[i].procs);
        CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), 0);
        CHECK(cg.is_shared == rows[i].is_shared);
        CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err),
                  rows[i].is_shared ? -EBUSY : 0);
        ma_cgroup_close(&cg);
    }
    w = where_of("0::/gone.slice");
    CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), -ENODEV);
    w = where_of("0::/machine.slice"); /* has no memory files */
    CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), -ENOENT);
    CHECK(strstr(err.message, "memory.current") != NULL);
    CHECK_I64(cg.dir_fd, -1);
    CHECK_I64(ma_cgroup_open_path(&cg, &root, "user.slice", &err), 0);
    ma_cgroup_close(&cg);
    static const char *const bad[] = {"..", "../x", "a/../b", "a/..", "/../a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_cgroup_open_path(&cg, &root, bad[i], &err), -EINVAL);
    }
    ma_cgroup_root_close(&root);
    tree_remove(&t);
}

static void a_guest_that_moves_or_gets_company_is_seen(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup_root root;
    struct ma_cgroup cg;
    make_v2(&t);
    tree_write(&t, "system.slice/vm.scope/memory.current", "5\n");
    tree_write(&t, "system.slice/vm.scope/cgroup.procs", "77\n");
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), 0);
    struct ma_process_cgroup w = where_of("0::/system.slice/vm.scope");
    CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), 0);
    CHECK(!cg.is_shared && !ma_cgroup_look_again(&cg, &root, &w, 77));
    for (unsigned i = 0; i < 3; i++) { /* a helper that comes and goes */
        tree_write(&t, "system.slice/vm.scope/cgroup.procs", "77\n78\n");
        CHECK(!ma_cgroup_look_again(&cg, &root, &w, 77) && !cg.is_shared);
        tree_write(&t, "system.slice/vm.scope/cgroup.procs", "77\n");
        CHECK(!ma_cgroup_look_again(&cg, &root, &w, 77) && !cg.is_shared);
    }
    tree_write(&t, "system.slice/vm.scope/cgroup.procs", "77\n78\n");
    CHECK(!ma_cgroup_look_again(&cg, &root, &w, 77));
    CHECK(ma_cgroup_look_again(&cg, &root, &w, 77) && cg.is_shared);
    tree_write(&t, "system.slice/vm.scope/cgroup.procs", "77\n");
    CHECK(ma_cgroup_look_again(&cg, &root, &w, 77) && !cg.is_shared);
    w = where_of("0::/" SCOPE "/libvirt/emulator");
    CHECK(ma_cgroup_look_again(&cg, &root, &w, 77));
    CHECK_STR(cg.path, "/" SCOPE "/libvirt");
    CHECK(!ma_cgroup_look_again(&cg, &root, &w, 77));
    w = where_of("0::/gone.slice"); /* on its way out: nothing can be told */
    CHECK(!ma_cgroup_look_again(&cg, &root, &w, 77) && cg.dir_fd >= 0);
    ma_cgroup_close(&cg);
    ma_cgroup_root_close(&root);
    tree_remove(&t);
}

static void v1_and_hybrid_are_named_and_do_less(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup_root root;
    struct ma_cgroup cg;
    struct ma_cgroup_sample s;
    struct ma_guest_node nodes[2];
    struct ma_cgroup_reclaim done;
    struct ma_cgroup_reclaim_request want = {.want_bytes = 1};
    size_t n;
    tree_make(&t);
    tree_write(&t, "memory/memory.usage_in_bytes", "1\n");
    tree_write(&t, "memory/machine/q/memory.usage_in_bytes", "8192\n");
    tree_write(&t, "memory/machine/q/memory.limit_in_bytes", "9223372036854771712\n");
    tree_write(&t, "memory/machine/q/memory.stat",
               "cache 1\ntotal_rss 4096\ntotal_inactive_file 100\n");
    tree_write(&t, "memory/machine/q/cgroup.procs", "77\n");
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), 0);
    CHECK_STR(ma_cgroup_layout_name(root.layout), "v1");
    ma_cgroup_root_close(&root);
    tree_write(&t, "unified/cgroup.controllers", "\n");
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), 0);
    CHECK_STR(ma_cgroup_layout_name(root.layout), "hybrid");
    struct ma_process_cgroup w = where_of("4:memory:/machine/q");
    CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), 0);
    CHECK(!cg.is_shared);
    CHECK_I64(ma_cgroup_read(&cg, &s, &err), 0);
    CHECK_U64(s.has, MA_CGROUP_HAS_CURRENT | MA_CGROUP_HAS_MAX | MA_CGROUP_HAS_STAT);
    CHECK_U64(s.max_bytes, MA_CGROUP_UNLIMITED);
    CHECK_U64(s.stat_bytes[MA_CGROUP_STAT_ANON], 4096);
    CHECK_I64(ma_cgroup_read_nodes(&cg, nodes, 2, &n, &err), -EOPNOTSUPP);
    CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err), -EOPNOTSUPP);
    ma_cgroup_close(&cg);
    w = where_of("0::/x");
    CHECK_I64(ma_cgroup_open_of(&cg, &root, &w, 77, &err), -ENOENT);
    ma_cgroup_root_close(&root);
    tree_remove(&t);
    tree_make(&t);
    tree_write(&t, "cgroup.controllers", "cpu io pids\n");
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), 0);
    CHECK_STR(ma_cgroup_layout_name(root.layout), "none");
    tree_remove(&t);
    CHECK_I64(ma_cgroup_root_open(&root, t.root, &err), -ENOENT);
}

static void reclaim_goes_in_steps_and_can_be_stopped(void) {
    struct tree t;
    struct ma_err err;
    struct ma_cgroup cg;
    struct ma_cgroup_reclaim done;
    atomic_bool stop = false;
    struct ma_cgroup_reclaim_request want = {
        .want_bytes = 10 * MA_MIB, .step_bytes = 4 * MA_MIB, .stop = &stop};
    char text[32] = "";
    make_v2(&t);
    open_v2(&t, &cg);
    CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err), 0);
    CHECK_U64(done.n_steps, 3);
    CHECK_U64(done.asked_bytes, 10 * MA_MIB);
    CHECK_U64(done.returned_bytes, 0); /* nothing moved in this tree, and nothing is claimed */
    CHECK(ma_ktext_read_at(cg.dir_fd, "memory.reclaim", text, sizeof(text)) > 0);
    CHECK_STR(text, "2097152");
    atomic_store(&stop, true);
    CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err), 0);
    CHECK(done.was_stopped && done.n_steps == 0);
    CHECK(unlinkat(cg.dir_fd, "memory.reclaim", 0) == 0);
    CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err), -EOPNOTSUPP);
    CHECK(symlinkat("/dev/full", cg.dir_fd, "memory.reclaim") == 0);
    atomic_store(&stop, false);
    CHECK_I64(ma_cgroup_reclaim_worker(&cg, &want, &done, &err), -ENOSPC);
    ma_cgroup_close(&cg);
    tree_remove(&t);
}

static void paths_of_processes(void) {
    struct ma_process_cgroup w = {0};
    CHECK_I64(ma_process_cgroup_parse_line(&w, "4:memory,hugetlb:/a:b"), 0);
    CHECK_STR(w.v1_memory, "/a:b");
    CHECK_I64(ma_process_cgroup_parse_line(&w, "5:hugetlb,memoryx:/z"), 0);
    CHECK_I64(ma_process_cgroup_parse_line(&w, "1:name=systemd:/y"), 0);
    CHECK_I64(ma_process_cgroup_parse_line(&w, "0::/..a/b..c"), 0);
    CHECK_STR(w.v2, "/..a/b..c");
    static const char *const bad[] = {"0::relative",   "0::/../up", "0::/..",
                                      "0::/a/../b",    "0::",       "0::/a (deleted)",
                                      "3:memory:/../x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_process_cgroup_parse_line(&w, bad[i]), -EINVAL);
    }
    static const char *const nothing[] = {"", ":", "0:", "x", "::"};
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        CHECK_I64(ma_process_cgroup_parse_line(&w, nothing[i]), 0);
    }
}

TAP_MAIN(TAP_CASE(libvirts_threaded_group_leads_to_its_domain),
         TAP_CASE(pages_per_node_are_anon_and_shmem),
         TAP_CASE(removed_or_broken_group_is_an_error),
         TAP_CASE(group_shared_with_others_is_known),
         TAP_CASE(a_guest_that_moves_or_gets_company_is_seen),
         TAP_CASE(v1_and_hybrid_are_named_and_do_less),
         TAP_CASE(reclaim_goes_in_steps_and_can_be_stopped),
         TAP_CASE(paths_of_processes));
