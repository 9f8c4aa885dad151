/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bytes.h"
#include "host-memory.h"
#include "tap.h"
#include "tree.h"

static struct ma_host_memory memory;

static int
read_tree(const char *meminfo, const char *arcstats, struct ma_host *ret, struct ma_err *err) {
    struct tree t;
    struct ma_meminfo info;
    tree_make(&t);
    tree_write(&t, "meminfo", meminfo);
    if (arcstats != NULL) {
        tree_write(&t, "spl/kstat/zfs/arcstats", arcstats);
    }
    CHECK_I64(ma_host_memory_open(&memory, t.root, err), 0);
    int r = ma_host_memory_read(&memory, &info, err);
    ma_host_memory_close(&memory);
    tree_remove(&t);
    if (r == 0) {
        *ret = (struct ma_host){.has = MA_HOST_HAS_SLOPE};
        ma_host_memory_to_host(&info, ret);
    }
    return r;
}

static void recorded_machine_is_read(void) {
    struct ma_err err;
    struct ma_meminfo info;
    struct ma_psi psi;
    struct ma_vmstat counters;
    struct ma_host host = {0};
    CHECK_I64(ma_host_memory_open(&memory, TEST_DATA "/proc-one-node/proc", &err), 0);
    CHECK_I64(ma_host_memory_read(&memory, &info, &err), 0);
    ma_host_memory_to_host(&info, &host);
    CHECK_U64(host.total_bytes, UINT64_C(24684092) * MA_KIB);
    CHECK(host.available_bytes > 20 * MA_GIB && host.available_bytes <= host.total_bytes);
    CHECK_U64(host.swap_total_bytes, 0);
    CHECK_U64(host.commit_limit_bytes, UINT64_C(12342044) * MA_KIB);
    CHECK_U64(host.has, MA_HOST_HAS_SWAP | MA_HOST_HAS_COMMITTED | MA_HOST_HAS_COMMIT_LIMIT);
    CHECK_I64(ma_host_memory_read_psi(&memory, &psi, &err), 0);
    CHECK_U64(psi.has, 0x3f);
    CHECK_I64(ma_host_memory_read_vmstat(&memory, &counters, &err), 0);
    CHECK_U64(counters.has, (1U << MA_VMSTAT_COUNT) - 1);
    CHECK(counters.counters[MA_VMSTAT_REFAULT_FILE] > 0);
    ma_host_memory_close(&memory);
}

static void live_machine_is_read_twice_alike(void) {
    struct ma_err err;
    struct ma_meminfo a;
    struct ma_meminfo b;
    CHECK_I64(ma_host_memory_open(&memory, "/proc", &err), 0);
    CHECK_I64(ma_host_memory_read(&memory, &a, &err), 0);
    CHECK_I64(ma_host_memory_read(&memory, &b, &err), 0);
    CHECK_U64(a.has & 0xffU, 0xffU);
    CHECK(a.total_bytes > 0 && a.available_bytes <= a.total_bytes);
    CHECK_U64(b.total_bytes, a.total_bytes);
    ma_host_memory_close(&memory);
}

#define PLAIN "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n"

static void missing_swap_lines_leave_the_bit_clear(void) {
    struct ma_err err;
    struct ma_host host;
    CHECK_I64(read_tree(PLAIN, NULL, &host, &err), 0);
    CHECK_U64(host.has, MA_HOST_HAS_SLOPE); /* not ours: kept */
    CHECK_U64(host.available_bytes, 400 * MA_KIB);
    CHECK_I64(read_tree(PLAIN "SwapTotal: 50 kB\nSwapFree: 60 kB\n", NULL, &host, &err), 0);
    CHECK_U64(host.swap_free_bytes, 50 * MA_KIB); /* never more than there is */
}

static void arc_above_its_floor_is_available(void) {
    static const char arc[] =
        "13 1 0x01 2 3 4 5\nname type data\nc_min 4 102400\nc_max 4 900000\nsize 4 307200\n";
    struct ma_err err;
    struct ma_host host;
    CHECK_I64(read_tree(PLAIN, arc, &host, &err), 0);
    CHECK_U64(host.available_bytes, 600 * MA_KIB);
    CHECK_I64(read_tree(PLAIN, "c_min 4 1\nsize 4 99999999\n", &host, &err), 0);
    CHECK_U64(host.available_bytes, 1000 * MA_KIB); /* never above total */
    static const char *const useless[] = {"size 4 307200\n",
                                          "c_min 4 102400\nsize 4 -5\n",
                                          "garbage",
                                          "",
                                          "c_min 4 307200\nsize 4 102400\n",
                                          "c_min 4 1\nsize 4 99999999999999999999\n"};
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        CHECK_I64(read_tree(PLAIN, useless[i], &host, &err), 0);
        CHECK_U64(host.available_bytes, 400 * MA_KIB);
    }
}

static void unusable_meminfo_is_an_error_that_names_the_field(void) {
    static const struct {
        const char *text;
        int code;
        const char *names;
    } bad[] = {
        {"", -ENODATA, "MemTotal"},
        {"MemTotal: 0 kB\nMemAvailable: 0 kB\n", -ENODATA, "MemTotal"},
        {"MemTotal: 1000 kB\nMemFree: 1 kB\n", -ENODATA, "MemAvailable"},
        {"MemTotal: 1000 kB\nMemAvailable: x kB\n", -ENODATA, "MemAvailable"},
        {"MemTotal: 1000 kB\nMemAvailable: 2000 kB\n", -ERANGE, "MemAvailable"},
        {"MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n", -ENODATA, "MemTotal"},
        {"MemTotal: 18014398509481983 kB\nMemAvailable: 1 kB\n", -ENODATA, "MemTotal"},
        {"MemTotal: 1000 kB\nMemAvaila", -ENODATA, "MemAvailable"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ma_err err = {0};
        struct ma_host host;
        CHECK_I64(read_tree(bad[i].text, NULL, &host, &err), bad[i].code);
        CHECK(strstr(err.message, bad[i].names) != NULL);
    }
}

static void hosts_without_psi_vmstat_or_proc_say_so(void) {
    struct ma_err err;
    struct ma_psi psi;
    struct ma_vmstat counters;
    struct tree t;
    tree_make(&t);
    CHECK_I64(ma_host_memory_open(&memory, t.root, &err), -ENOENT);
    CHECK(strstr(err.message, "meminfo") != NULL);
    CHECK_I64(ma_host_memory_open(&memory, "/nowhere", &err), -ENOENT);
    tree_write(&t, "meminfo", PLAIN);
    CHECK_I64(ma_host_memory_open(&memory, t.root, &err), 0);
    CHECK_I64(ma_host_memory_read_psi(&memory, &psi, &err), -EOPNOTSUPP);
    CHECK_I64(ma_host_memory_read_vmstat(&memory, &counters, &err), -EBADF);
    ma_host_memory_close(&memory);
    tree_remove(&t);
}

static void counter_that_went_down_restarted(void) {
    struct ma_vmstat before = {.has = 0x3, .counters = {5, 100}};
    struct ma_vmstat now = {.has = 0x7, .counters = {7, 40, 9}};
    bool restarted = false;
    struct ma_vmstat d = ma_vmstat_delta(&before, &now, &restarted);
    CHECK_U64(d.has, 0x3);
    CHECK_U64(d.counters[0], 2);
    CHECK_U64(d.counters[1], 0);
    CHECK(restarted);
    (void) ma_vmstat_delta(&before, &before, &restarted);
    CHECK(!restarted);
}

static void allocstall_is_summed_over_zones(void) {
    struct ma_vmstat s = {0};
    static const char *const lines[] = {"allocstall_dma 1",
                                        "allocstall_normal 20",
                                        "allocstall_movable 300",
                                        "allocstall_x y",
                                        "allocstall_",
                                        "oom_kill 4",
                                        "pgscan_direct_throttle 9",
                                        "pgscan_direct 18446744073709551616"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK_I64(ma_vmstat_parse_line(&s, lines[i]), 0);
    }
    CHECK_U64(s.counters[MA_VMSTAT_ALLOCSTALL], 321);
    CHECK_U64(s.has, 1U << MA_VMSTAT_ALLOCSTALL | 1U << MA_VMSTAT_OOM_KILL);
}

TAP_MAIN(TAP_CASE(recorded_machine_is_read),
         TAP_CASE(live_machine_is_read_twice_alike),
         TAP_CASE(missing_swap_lines_leave_the_bit_clear),
         TAP_CASE(arc_above_its_floor_is_available),
         TAP_CASE(unusable_meminfo_is_an_error_that_names_the_field),
         TAP_CASE(hosts_without_psi_vmstat_or_proc_say_so),
         TAP_CASE(counter_that_went_down_restarted),
         TAP_CASE(allocstall_is_summed_over_zones));
