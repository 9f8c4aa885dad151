/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sample-cost.c - what one sample of each kind costs here, in nanoseconds. */
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cgroup.h"
#include "host-memory.h"
#include "host-nodes.h"
#include "process-limits.h"
#include "process.h"
#include "tap.h"

#define ROUNDS 2000
static struct ma_host_memory memory;
static struct ma_host_nodes nodes;
static struct ma_process process;
static struct ma_err err;

static void read_meminfo(void) {
    struct ma_meminfo info;
    CHECK_I64(ma_host_memory_read(&memory, &info, &err), 0);
}
static void read_psi(void) {
    struct ma_psi psi;
    (void) ma_host_memory_read_psi(&memory, &psi, &err);
}
static void read_vmstat(void) {
    struct ma_vmstat counters;
    (void) ma_host_memory_read_vmstat(&memory, &counters, &err);
}
static void read_nodes(void) {
    struct ma_node got[MA_HOST_NODES_MAX];
    size_t n;
    CHECK_I64(ma_host_nodes_read(&nodes, 1, got, MA_HOST_NODES_MAX, &n), 0);
}
static void read_nodes_and_watermarks(void) {
    nodes.zoneinfo_usec = 0;
    read_nodes();
}
static void read_status(void) {
    struct ma_process_sample s;
    CHECK_I64(ma_process_read(&process, &s, &err), 0);
}
static void read_cpu(void) {
    struct ma_process_cpu cpu;
    CHECK_I64(ma_process_read_cpu(&process, &cpu, &err), 0);
}
static void read_limit(void) {
    struct ma_process_memlock limit;
    CHECK_I64(ma_process_read_memlock(&process, &limit, &err), 0);
}
static void read_identity(void) {
    struct ma_process_identity id;
    CHECK_I64(ma_process_read_identity(&process, &id, &err), 0);
}
static void read_devices(void) {
    struct ma_process_devices devices;
    CHECK_I64(ma_process_read_devices(&process, &devices, &err), 0);
}
static void open_and_close(void) {
    struct ma_process p;
    CHECK_I64(ma_process_open(&p, "/proc", getppid(), &err), 0);
    ma_process_close(&p);
}

static uint64_t now_nsec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}
static void measure(const char *what, void (*sample)(void)) {
    uint64_t best = UINT64_MAX;
    uint64_t start = now_nsec();
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t t = now_nsec();
        sample();
        best = ma_min_u64(best, now_nsec() - t);
    }
    uint64_t mean = (now_nsec() - start) / ROUNDS;
    (void) printf("%-28s mean %7" PRIu64 " ns, least %7" PRIu64 " ns\n", what, mean, best);
}

int main(int argc, char **argv) {
    pid_t pid = argc > 1 ? (pid_t) strtol(argv[1], NULL, 10) : getpid();
    CHECK_I64(ma_host_memory_open(&memory, "/proc", &err), 0);
    CHECK_I64(ma_process_open(&process, "/proc", pid, &err), 0);
    measure("meminfo", read_meminfo);
    measure("psi", read_psi);
    measure("vmstat", read_vmstat);
    if (ma_host_nodes_open(&nodes, "/proc", "/sys", &err) == 0) {
        measure("nodes", read_nodes);
        measure("nodes and zoneinfo", read_nodes_and_watermarks);
    }
    measure("process status", read_status);
    measure("process stat (cpu)", read_cpu);
    measure("process memlock limit", read_limit);
    measure("process identity", read_identity);
    measure("process descriptors", read_devices);
    measure("process open", open_and_close);
    return 0;
}
