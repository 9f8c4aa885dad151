/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "log.h"

#define PRESSURE_PATH_MAX 1024

static int open_budget_cgroup(struct ma_host_watch *watch, const char *path, struct ma_err *err) {
    int r = ma_cgroup_open_path(&watch->budget_cgroup, &watch->cgroup_root, path, err);
    if (r < 0) {
        ma_err_prefix(err, "BudgetCgroup=%s", path);
        return r;
    }
    watch->meaning = MA_HOST_IS_CGROUP;
    return 0;
}

/* A missing PSI or NUMA is no error: decisions then rest on headroom and forecast alone. */
static void open_optional(struct ma_host_watch *watch,
                          const struct ma_host_watch_options *options) {
    struct ma_err err = {0};
    watch->host_nodes = malloc(sizeof(*watch->host_nodes));
    if (watch->host_nodes != NULL &&
        ma_host_nodes_open(watch->host_nodes, options->proc_root, options->sys_root, &err) < 0) {
        free(watch->host_nodes);
        watch->host_nodes = NULL;
    }
    watch->has_psi = watch->memory.psi_fd >= 0;
    if (options->psi_stall_usec == 0) {
        return;
    }
    struct ma_psi_trigger_spec spec = {MA_PSI_SOME, options->psi_stall_usec,
                                       options->psi_window_usec};
    bool is_cgroup = watch->meaning == MA_HOST_IS_CGROUP;
    char path[PRESSURE_PATH_MAX];
    (void) snprintf(path, sizeof(path), "%s/pressure/memory", options->proc_root);
    int r = ma_psi_trigger_open(&watch->trigger, is_cgroup ? watch->budget_cgroup.dir_fd : AT_FDCWD,
                                is_cgroup ? "memory.pressure" : path, &spec, &err);
    if (r < 0) {
        watch->trigger.fd = -1;
        ma_log(MA_LOG_WARNING, "no pressure trigger, sampling alone: %s", err.message);
    } else if (watch->trigger.is_fallback) {
        ma_log(MA_LOG_INFO,
               "pressure trigger with a window of %u ms (shorter ones need CAP_SYS_RESOURCE)",
               (unsigned) (watch->trigger.window_usec / MA_USEC_PER_MSEC));
    }
}

int ma_host_watch_open(struct ma_host_watch *watch,
                       const struct ma_host_watch_options *options,
                       struct ma_err *err) {
    memset(watch, 0, sizeof(*watch));
    watch->trigger.fd = -1;
    watch->budget_cgroup = MA_CGROUP_CLOSED;
    watch->cgroup_root.fd = -1;
    watch->budget_bytes = options->budget_bytes;
    watch->budget_permyriad = options->budget_permyriad;
    int r = ma_host_memory_open(&watch->memory, options->proc_root, err);
    if (r < 0) {
        return r;
    }
    struct ma_err ignored = {0};
    if (ma_cgroup_root_open(&watch->cgroup_root, options->cgroup_root, &ignored) < 0) {
        watch->cgroup_root.fd = -1;
    }
    if (options->budget_cgroup != NULL && options->budget_cgroup[0] != '\0') {
        r = open_budget_cgroup(watch, options->budget_cgroup, err);
    } else if (options->budget_bytes != UINT64_MAX || options->budget_permyriad != 0) {
        watch->meaning = MA_HOST_IS_BUDGET;
    }
    if (r < 0) {
        ma_host_watch_close(watch);
        return r;
    }
    open_optional(watch, options);
    return 0;
}

void ma_host_watch_close(struct ma_host_watch *watch) {
    ma_host_memory_close(&watch->memory);
    if (watch->host_nodes != NULL) {
        ma_host_nodes_close(watch->host_nodes);
        free(watch->host_nodes);
        watch->host_nodes = NULL;
    }
    if (watch->trigger.fd >= 0) {
        ma_psi_trigger_close(&watch->trigger);
    }
    if (watch->budget_cgroup.dir_fd >= 0) {
        ma_cgroup_close(&watch->budget_cgroup);
    }
    ma_cgroup_root_close(&watch->cgroup_root);
}

static int
narrow(struct ma_host_watch *watch, struct ma_host *host, uint64_t used_bytes, struct ma_err *err) {
    if (watch->meaning == MA_HOST_IS_BUDGET) {
        uint64_t budget = watch->budget_bytes != UINT64_MAX
                              ? watch->budget_bytes
                              : ma_permyriad_of(host->total_bytes, watch->budget_permyriad);
        ma_budget_narrow_to_bytes(host, budget, used_bytes);
    } else if (watch->meaning == MA_HOST_IS_CGROUP) {
        struct ma_cgroup_sample sample;
        int r = ma_cgroup_read(&watch->budget_cgroup, &sample, err);
        if (r == 0) {
            r = ma_budget_narrow_to_cgroup(host, &sample);
        }
        return r;
    }
    return 0;
}

static void sample_nodes(struct ma_host_watch *watch, uint64_t now_usec, struct ma_host *host) {
    size_t n = 0;
    watch->has_nodes = false;
    /* A single node is the host itself; and a budget says nothing of nodes' shares, so they stay the machine's. */
    if (watch->host_nodes != NULL &&
        ma_host_nodes_read(watch->host_nodes, now_usec, watch->nodes, MA_HOST_NODES_MAX, &n) == 0 &&
        n > 1 && ma_host_nodes_add_up(watch->nodes, n, host->total_bytes)) {
        watch->has_nodes = true;
        host->nodes = watch->nodes;
        host->n_nodes = n;
    }
}

int ma_host_watch_sample(struct ma_host_watch *watch,
                         uint64_t used_bytes,
                         uint64_t now_usec,
                         struct ma_err *err) {
    struct ma_meminfo info;
    int r = ma_host_memory_read(&watch->memory, &info, err);
    if (r < 0) {
        return r;
    }
    struct ma_host host = {0};
    ma_host_memory_to_host(&info, &host);
    struct ma_err ignored = {0};
    if (watch->has_psi && ma_host_memory_read_psi(&watch->memory, &host.pressure, &ignored) < 0) {
        host.pressure.has = 0;
    }
    sample_nodes(watch, now_usec, &host);
    r = narrow(watch, &host, used_bytes, err);
    if (r < 0) {
        return r;
    }
    watch->host = host;
    watch->sampled_usec = now_usec;
    return 0;
}
