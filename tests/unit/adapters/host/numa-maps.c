/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a process's pages are, and which of them may leave a node. */
#include <errno.h>
#include <sys/mman.h>

#include "bytes.h"
#include "node-move.h"
#include "tap.h"
#include "tree.h"

static void lines_of_the_kernel(void) {
    static const struct {
        const char *line;
        bool is_line;
        bool has_policy;
        enum ma_placement placement;
        bool is_memory, is_huge;
        uint64_t pages;
    } rows[] = {
        {"7f12c0000000 default anon=81920 dirty=81920 active=0 N0=16384 N1=65536 "
         "kernelpagesize_kB=4",
         true, true, MA_PLACEMENT_DEFAULT, true, false, 65536},
        {"7f12c0000000 prefer:1 anon=5 dirty=5 N1=5 kernelpagesize_kB=4", true, true,
         MA_PLACEMENT_PREFERRED, true, false, 5},
        {"7f12c0000000 prefer (many):0-1 anon=5 N1=5 N11=7 kernelpagesize_kB=4", true, true,
         MA_PLACEMENT_PREFERRED, true, false, 5},
        {"7f12c0000000 bind:1 anon=5 N1=5 kernelpagesize_kB=4", true, true, MA_PLACEMENT_STRICT,
         true, false, 5},
        {"7f12c0000000 bind=static:0-1 anon=5 N0=5", true, true, MA_PLACEMENT_STRICT, true, false,
         0},
        {"7f12c0000000 interleave:0-1 anon=5 N1=2", true, true, MA_PLACEMENT_INTERLEAVE, true,
         false, 2},
        {"7f12c0000000 local anon=5 N1=2", true, true, MA_PLACEMENT_DEFAULT, true, false, 2},
        {"55d0 default file=/usr/bin/qemu-system-x86_64 mapped=2 N1=2 kernelpagesize_kB=4", true,
         true, MA_PLACEMENT_DEFAULT, false, false, 2},
        {"7f00 default file=/memfd:pc.ram\\040(deleted) dirty=9 N1=9", true, true,
         MA_PLACEMENT_DEFAULT, true, false, 9},
        {"7f00 default file=/anon_hugepage\\040(deleted) huge anon=2 dirty=2 N1=2 "
         "kernelpagesize_kB=2048",
         true, true, MA_PLACEMENT_DEFAULT, true, true, 2},
        {"7f00 bogus anon=2 N1=2", true, false, MA_PLACEMENT_DEFAULT, true, false, 2},
        {"7f00 default N1=99999999999999999999999", true, true, MA_PLACEMENT_DEFAULT, false, false,
         0},
        {"7f00 default anon=1 N1=18446744073709551615", true, true, MA_PLACEMENT_DEFAULT, true,
         false, MA_BYTES_MAX / 4096},
        {"7f00 ", true, false, MA_PLACEMENT_DEFAULT, false, false, 0},
        {"7f00", false, false, MA_PLACEMENT_DEFAULT, false, false, 0},
        {"", false, false, MA_PLACEMENT_DEFAULT, false, false, 0},
        {"xyz default", false, false, MA_PLACEMENT_DEFAULT, false, false, 0},
        {"fffffffffffffffff default", false, false, MA_PLACEMENT_DEFAULT, false, false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_numa_line got = {0};
        bool is_line = ma_numa_line_parse(rows[i].line, 1, &got);
        if (is_line != rows[i].is_line ||
            (is_line && (got.has_policy != rows[i].has_policy ||
                         got.placement != rows[i].placement || got.is_memory != rows[i].is_memory ||
                         got.is_huge != rows[i].is_huge || got.node_pages != rows[i].pages))) {
            TAP_FAIL("row %zu: %s", i, rows[i].line);
        }
    }
}

static struct ma_node_move_buffers buffers;

static void open_made(struct tree *t, struct ma_process *p, const char *numa, const char *maps) {
    struct ma_err err = {0};
    tree_make(t);
    tree_write(t, "7/stat", "7 (qemu) S 1 7 7 0 -1 0 0 0 0 0 1 1 0 0 20 0 3 0 1000 0 0\n");
    tree_write(t, "7/numa_maps", numa);
    tree_write(t, "7/maps", maps);
    CHECK_I64(ma_process_open_files(p, t->root, 7, &err), 0);
}

static void areas_fullest_first_and_none_that_is_bound(void) {
    struct tree t;
    struct ma_process p;
    struct ma_err err = {0};
    bool is_barred = true;
    open_made(&t, &p,
              "1000 default anon=10 N0=4 N1=6\n"
              "5000 default file=/usr/lib/libc.so mapped=50 N1=50\n"
              "9000 prefer:1 anon=900 N1=900\n"
              "20000 bind:1 anon=5000 N1=5000\n"
              "40000 default anon=3 N0=3\n",
              "1000-4000 rw-p 0 0:0 0\n5000-9000 r-xp 0 8:1 5 /usr/lib/libc.so\n"
              "9000-20000 rw-p 0 0:0 0\n20000-40000 rw-p 0 0:0 0\n");
    CHECK_I64(ma_node_move_find_areas(&p, 1, &buffers, &is_barred, &err), 0);
    CHECK(!is_barred);
    CHECK_U64(buffers.n_areas, 2);
    CHECK_U64(buffers.areas[0].start, 0x9000);
    CHECK_U64(buffers.areas[0].end, 0x20000);
    CHECK_U64(buffers.areas[1].start, 0x1000);
    CHECK_U64(buffers.areas[1].end, 0x4000);
    ma_process_close(&p);
    tree_remove(&t);

    open_made(&t, &p, "20000 bind:1 anon=5000 N1=5000\n", "20000-40000 rw-p 0 0:0 0\n");
    CHECK_I64(ma_node_move_find_areas(&p, 1, &buffers, &is_barred, &err), 0);
    CHECK(is_barred);
    CHECK_U64(buffers.n_areas, 0);
    ma_process_close(&p);
    tree_remove(&t);
}

/* Between the two files the process maps something right below: the kernel makes one mapping of both. */
static void an_area_that_grew_meanwhile(void) {
    struct tree t;
    struct ma_process p;
    struct ma_err err = {0};
    bool is_barred = false;
    open_made(&t, &p, "9000 default anon=900 N0=900\n60000 default anon=7 N0=7\n",
              "5000-20000 rw-p 0 0:0 0\n61000-62000 rw-p 0 0:0 0\n");
    CHECK_I64(ma_node_move_find_areas(&p, 0, &buffers, &is_barred, &err), 0);
    CHECK_U64(buffers.n_areas, 2);
    CHECK_U64(buffers.areas[0].start, 0x9000);
    CHECK_U64(buffers.areas[0].end, 0x20000);
    CHECK_U64(buffers.areas[1].end, 0); /* its beginning is gone: left alone */
    ma_process_close(&p);
    tree_remove(&t);
}

/* More of them than there is room for: the fullest stay. */
static void too_many_areas(void) {
    static char numa[64 * 1024];
    struct tree t;
    struct ma_process p;
    struct ma_err err = {0};
    bool is_barred;
    size_t at = 0;
    for (unsigned i = 0; i < 300; i++) {
        at += (size_t) snprintf(numa + at, sizeof(numa) - at, "%x000 default anon=1 N1=%u\n", i + 1,
                                1 + (i * 37) % 300);
    }
    open_made(&t, &p, numa, "");
    CHECK_I64(ma_node_move_find_areas(&p, 1, &buffers, &is_barred, &err), 0);
    CHECK_U64(buffers.n_areas, MA_NODE_MOVE_AREAS_MAX);
    for (unsigned i = 0; i < MA_NODE_MOVE_AREAS_MAX; i++) {
        CHECK_U64(buffers.areas[i].node_pages, 300 - i);
        CHECK_U64(buffers.areas[i].end, 0); /* never walked */
    }
    ma_process_close(&p);
    tree_remove(&t);
}

static void a_tasks_policy_is_in_the_first_line(void) {
    struct tree t;
    struct ma_process p;
    struct ma_err err = {0};
    enum ma_placement placement = MA_PLACEMENT_DEFAULT;
    open_made(&t, &p, "55d0 bind:1 file=/usr/bin/qemu mapped=2 N1=2\n7f00 default anon=1 N0=1\n",
              "");
    CHECK_I64(ma_process_read_policy(&p, &placement, &err), 0);
    CHECK_U64(placement, MA_PLACEMENT_STRICT);
    ma_process_close(&p);
    tree_remove(&t);
    open_made(&t, &p, "garbage\n", "");
    CHECK_I64(ma_process_read_policy(&p, &placement, &err), -EINVAL);
    ma_process_close(&p);
    tree_remove(&t);
}

/* This process's own pages, of the real kernel: what a machine with one node can show. */
static void the_real_kernel(void) {
    const size_t size = 16 * MA_MIB;
    struct ma_process p;
    struct ma_err err = {0};
    struct ma_node_moved got = {0};
    atomic_bool stop = false;
    struct ma_node_move_request want = {.want_bytes = 4 * MA_MIB, .stop = &stop};
    char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_barred = true;
    CHECK(area != MAP_FAILED);
    memset(area, 1, size);
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    if (ma_node_move_find_areas(&p, 0, &buffers, &is_barred, &err) < 0) {
        (void) fprintf(stderr, "# not shown here: this kernel has no numa_maps\n");
    } else {
        CHECK(!is_barred && buffers.n_areas > 0);
        CHECK(buffers.areas[0].end > buffers.areas[0].start);
        /* To the node where they are: nothing to do, and nothing lost. */
        CHECK_I64(ma_node_move_worker(&p, &want, &buffers, &got, &err), 0);
        CHECK_U64(got.moved_bytes, want.want_bytes);
        CHECK(got.n_batches >= 1);
        atomic_store(&stop, true);
        CHECK_I64(ma_node_move_worker(&p, &want, &buffers, &got, &err), 0);
        CHECK(got.was_stopped && got.moved_bytes == 0);
        atomic_store(&stop, false);
        want.to_node = 1023; /* no machine has it */
        CHECK(ma_node_move_worker(&p, &want, &buffers, &got, &err) < 0);
        for (size_t i = 0; i < size; i++) {
            CHECK(area[i] == 1);
        }
    }
    ma_process_close(&p);
    (void) munmap(area, size);
}

/* A mapping of a tebibyte with its pages at the far end, as a virtio-mem device with room to grow: what is not there is
 * not asked for. */
static void a_sparse_mapping(void) {
    const size_t room = MA_TIB;
    const size_t size = 48 * MA_MIB;
    struct ma_process p;
    struct ma_err err = {0};
    struct ma_node_moved got = {0};
    struct ma_node_move_request want = {.want_bytes = 16 * MA_MIB};
    bool is_barred = true;
    char *area = mmap(NULL, room, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        (void) fprintf(stderr, "# not shown here: no address space of a tebibyte\n");
        return;
    }
    memset(area + room - size, 1, size);
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    if (ma_node_move_find_areas(&p, 0, &buffers, &is_barred, &err) < 0) {
        (void) fprintf(stderr, "# not shown here: this kernel has no numa_maps\n");
    } else {
        CHECK(buffers.areas[0].end - buffers.areas[0].start >= room);
        CHECK_I64(ma_node_move_worker(&p, &want, &buffers, &got, &err), 0);
        CHECK_U64(got.moved_bytes, want.want_bytes);
        CHECK(got.n_asked <= got.n_batches + 2); /* two that are there in part */
    }
    ma_process_close(&p);
    (void) munmap(area, room);
}

TAP_MAIN(TAP_CASE(lines_of_the_kernel),
         TAP_CASE(areas_fullest_first_and_none_that_is_bound),
         TAP_CASE(an_area_that_grew_meanwhile),
         TAP_CASE(too_many_areas),
         TAP_CASE(a_tasks_policy_is_in_the_first_line),
         TAP_CASE(the_real_kernel),
         TAP_CASE(a_sparse_mapping));
