/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* collect.c - text of /proc as kernels from 4.20 on print it, and as none does. */
#include "collect.h"
#include "tap.h"

static struct mag_report meminfo(const char *text) {
    struct mag_report r = {.has = 0};
    mag_collect_meminfo(text, strlen(text), &r);
    return r;
}

static struct mag_report vmstat(const char *text) {
    struct mag_report r = {.has = 0};
    mag_collect_vmstat(text, strlen(text), 4096, &r);
    return r;
}

static struct mag_report pressure(const char *text) {
    struct mag_report r = {.has = 0};
    mag_collect_pressure(text, strlen(text), &r);
    return r;
}

static void meminfo_is_read_in_bytes(void) {
    struct mag_report r = meminfo(
        "MemTotal:        2035404 kB\nMemFree:          103880 kB\nMemAvailable:    1200000 kB\n"
        "SwapCached:            7 kB\nSwapTotal:        524284 kB\nSwapFree:         524280 kB\n"
        "HugePages_Total:       3\n");
    CHECK_U64(r.has, MAG_HAS_MEM_TOTAL | MAG_HAS_MEM_FREE | MAG_HAS_MEM_AVAILABLE |
                         MAG_HAS_SWAP_TOTAL | MAG_HAS_SWAP_FREE);
    CHECK_U64(r.mem_total_bytes, UINT64_C(2035404) * 1024);
    CHECK_U64(r.mem_available_bytes, UINT64_C(1200000) * 1024);
    CHECK_U64(r.swap_free_bytes, UINT64_C(524280) * 1024);
}

static void a_cut_or_odd_line_says_nothing(void) {
    CHECK_U64(meminfo("MemTotal:        20354").has, 0);
    CHECK_U64(meminfo("MemTotal:\n").has, 0);
    CHECK_U64(meminfo("MemTotal: 5\n").has, 0);
    CHECK_U64(meminfo("MemTotal: -5 kB\n").has, 0);
    CHECK_U64(meminfo("XMemTotal: 5 kB\n").has, 0);
    CHECK_U64(meminfo("MemTotal: 18446744073709551616 kB\n").has, 0);
    CHECK_U64(meminfo("MemTotal: 1099511627777 kB\n").has, 0); /* one KiB above 1 PiB */
    CHECK_U64(meminfo("MemTotal: 1099511627776 kB\n").mem_total_bytes, MA_BYTES_MAX);
    CHECK_U64(vmstat("pswpin 12").has, 0);
    CHECK_U64(vmstat("pswpin \noom_kill x\n").has, 0);
    CHECK_U64(pressure("some avg10=1.23 avg60=0.00 avg300=0.00 total=5").has, 0);
}

static void swap_and_refaults_of_old_and_new_kernels(void) {
    struct mag_report r =
        vmstat("nr_free_pages 9\nworkingset_refault_anon 5\nworkingset_refault_file 7\n"
               "pswpin 2\npswpout 3\noom_kill 1\nswap_ra 4\n");
    CHECK_U64(r.has, MAG_HAS_SWAP_IN | MAG_HAS_SWAP_OUT | MAG_HAS_REFAULTS | MAG_HAS_OOM_KILLS);
    CHECK_U64(r.refaults_count, 12);
    CHECK_U64(r.swap_in_bytes, 8192);
    CHECK_U64(r.swap_out_bytes, 12288);
    CHECK_U64(r.oom_kills_count, 1);
    r = vmstat("workingset_refault 11\npswpin 0\n"); /* Linux 4.20 */
    CHECK_U64(r.has, MAG_HAS_SWAP_IN | MAG_HAS_REFAULTS);
    CHECK_U64(r.refaults_count, 11);
    CHECK_U64(vmstat("pswpin 18446744073709551615\n").swap_in_bytes, MAG_COUNT_MAX);
}

static void pressure_is_exact(void) {
    struct mag_report r = pressure("some avg10=12.34 avg60=0.50 avg300=9.00 total=98765\n"
                                   "full avg10=100.00 avg60=0.00 avg300=0.00 total=42\n");
    CHECK_U64(r.has,
              MAG_HAS_SOME_AVG10 | MAG_HAS_SOME_TOTAL | MAG_HAS_FULL_AVG10 | MAG_HAS_FULL_TOTAL);
    CHECK_U64(r.some_avg10_permyriad, 1234);
    CHECK_U64(r.some_total_usec, 98765);
    CHECK_U64(r.full_avg10_permyriad, 10000);
    CHECK_U64(r.full_total_usec, 42);
}

static void odd_pressure_leaves_out_what_is_odd(void) {
    CHECK_U64(pressure("").has, 0);
    CHECK_U64(pressure("some avg10=100.01 total=5\n").has, MAG_HAS_SOME_TOTAL);
    CHECK_U64(pressure("some avg10=1.2 total=5\n").has, MAG_HAS_SOME_TOTAL);
    CHECK_U64(pressure("full avg10=1.20 total=\n").has, MAG_HAS_FULL_AVG10);
    CHECK_U64(pressure("none avg10=1.20 total=1\n").has, 0);
}

static void this_machines_own_files_are_read(void) {
    struct mag_collector c;
    struct mag_report r;
    struct ma_err err;
    CHECK_I64(mag_collector_open(&c, "/proc", &err), 0);
    for (int i = 0; i < 3; i++) {
        mag_collector_read(&c, &r);
        CHECK((r.has & MAG_HAS_MEM_TOTAL) != 0 && (r.has & MAG_HAS_SWAP_IN) != 0);
        CHECK(r.mem_available_bytes <= r.mem_total_bytes);
    }
    mag_collector_close(&c);
    CHECK(mag_collector_open(&c, "/nowhere", &err) < 0);
    CHECK(strstr(err.message, "/nowhere/meminfo") != NULL);
}

TAP_MAIN(TAP_CASE(meminfo_is_read_in_bytes),
         TAP_CASE(a_cut_or_odd_line_says_nothing),
         TAP_CASE(swap_and_refaults_of_old_and_new_kernels),
         TAP_CASE(pressure_is_exact),
         TAP_CASE(odd_pressure_leaves_out_what_is_odd),
         TAP_CASE(this_machines_own_files_are_read));
