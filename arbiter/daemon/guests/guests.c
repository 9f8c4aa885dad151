/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guests.c - the table, and the measuring of one guest's process.
 *
 * resident = RssAnon + RssShmem: what comes back when the process ends. RssFile (QEMU's text, a kernel image that was
 * mapped) stays in the page cache either way. */

#include "guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "node-move.h"
#include "unmovable.h"

/* A process that could not be opened is tried again after this; the same for its cgroup. */
#define RETRY_USEC (2 * MA_USEC_PER_SEC)
/* So often its cgroup is looked at again: who is moved, or gets company, is limited no more as if alone. Shorter: two files
 * of each guest; longer: others share its limits for so long. Chosen. */
#define CGROUP_PERIOD_USEC (10 * MA_USEC_PER_SEC)
/* Devices come and go by hotplug; an event tells at once where libvirt is, this is for the others. The check reads a
 * few hundred links (0.7 us each). */
#define DEVICES_PERIOD_USEC (10 * MA_USEC_PER_SEC)
/* Growth is smoothed over about this long: shorter follows noise of a few pages, longer misses a bomb. Guess, as the
 * host's own slope (0.3 per second). */
#define GROWTH_WINDOW_USEC (3 * MA_USEC_PER_SEC)

int ma_guests_init(struct ma_guests *guests, size_t max) {
    *guests = (struct ma_guests){.max = max};
    guests->items = calloc(max > 0 ? max : 1, sizeof(*guests->items));
    return guests->items == NULL ? -ENOMEM : 0;
}

static void free_tracked(struct ma_tracked *guest) {
    if (guest->process.pid != 0) {
        ma_process_close(&guest->process);
    }
    if (guest->cgroup.dir_fd >= 0) {
        ma_cgroup_close(&guest->cgroup);
    }
    if (guest->limits.group.dir_fd >= 0) {
        ma_cgroup_close(&guest->limits.group);
    }
    free(guest);
}

void ma_guests_fini(struct ma_guests *guests) {
    for (size_t i = 0; i < guests->n; i++) {
        free_tracked(guests->items[i]);
    }
    free(guests->items);
    *guests = (struct ma_guests){0};
}

/* Index of the first entry not below uuid. */
static size_t lower_bound(const struct ma_guests *guests, const char *uuid) {
    size_t low = 0;
    size_t high = guests->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(guests->items[mid]->uuid, uuid) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

struct ma_tracked *ma_guests_find(const struct ma_guests *guests, const char *uuid) {
    size_t at = lower_bound(guests, uuid);
    if (at < guests->n && strcmp(guests->items[at]->uuid, uuid) == 0) {
        return guests->items[at];
    }
    return NULL;
}

struct ma_tracked *
ma_guests_find_next(const struct ma_guests *guests, const char *uuid, size_t *next) {
    if (*next < guests->n && strcmp(guests->items[*next]->uuid, uuid) == 0) {
        return guests->items[(*next)++];
    }
    size_t at = lower_bound(guests, uuid);
    if (at == guests->n || strcmp(guests->items[at]->uuid, uuid) != 0) {
        return NULL;
    }
    *next = at + 1;
    return guests->items[at];
}

struct ma_tracked *ma_guests_find_by_pid(const struct ma_guests *guests, pid_t pid) {
    for (size_t i = 0; i < guests->n; i++) {
        if (guests->items[i]->process.pid == pid || guests->items[i]->facts.pid == pid) {
            return guests->items[i];
        }
    }
    return NULL;
}

struct ma_tracked *ma_guests_get(struct ma_guests *guests, const char *uuid) {
    struct ma_tracked *guest = ma_guests_find(guests, uuid);
    if (guest != NULL) {
        return guest;
    }
    size_t len = strlen(uuid);
    if (len == 0 || len >= sizeof(guest->uuid) || guests->n >= guests->max) {
        return NULL;
    }
    guest = calloc(1, sizeof(*guest));
    if (guest == NULL) {
        return NULL;
    }
    memcpy(guest->uuid, uuid, len + 1);
    guest->process = MA_PROCESS_CLOSED;
    guest->cgroup = MA_CGROUP_CLOSED;
    guest->limits.group = MA_CGROUP_CLOSED;
    size_t at = lower_bound(guests, uuid);
    memmove(&guests->items[at + 1], &guests->items[at], (guests->n - at) * sizeof(*guests->items));
    guests->items[at] = guest;
    guests->n++;
    return guest;
}

void ma_guests_drop(struct ma_guests *guests, struct ma_tracked *guest) {
    size_t at = lower_bound(guests, guest->uuid);
    if (at < guests->n && guests->items[at] == guest) {
        memmove(&guests->items[at], &guests->items[at + 1],
                (guests->n - at - 1) * sizeof(*guests->items));
        guests->n--;
    }
    free_tracked(guest);
}

uint64_t ma_process_started_usec(uint64_t start_ticks) {
    long hz = sysconf(_SC_CLK_TCK);
    struct timespec boot;
    struct timespec mono;
    if (hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) < 0 ||
        clock_gettime(CLOCK_MONOTONIC, &mono) < 0) {
        return 0;
    }
    /* starttime counts from boot, suspends included; ours leaves them out */
    uint64_t since_boot = ma_muldiv_sat(start_ticks, MA_USEC_PER_SEC, (uint64_t) hz);
    uint64_t boot_usec = (uint64_t) boot.tv_sec * MA_USEC_PER_SEC + (uint64_t) boot.tv_nsec / 1000;
    uint64_t mono_usec = (uint64_t) mono.tv_sec * MA_USEC_PER_SEC + (uint64_t) mono.tv_nsec / 1000;
    uint64_t age = ma_sub_floor0(boot_usec, since_boot);
    return ma_max_u64(1, ma_sub_floor0(mono_usec, age));
}

int ma_tracked_open_process(struct ma_tracked *guest,
                            const struct ma_guests_host *host,
                            uint64_t now_usec) {
    if (guest->process.pid != 0) {
        return 0;
    }
    if (guest->facts.pid <= 0 || now_usec < guest->process_retry_usec) {
        return -ENOENT;
    }
    guest->process_retry_usec = now_usec + RETRY_USEC;
    struct ma_err err = {0};
    struct ma_process process = MA_PROCESS_CLOSED;
    int r = ma_process_open(&process, host->proc_root, guest->facts.pid, &err);
    if (r < 0) {
        return r;
    }
    struct ma_process_identity identity = {0};
    if (ma_process_read_identity(&process, &identity, &err) == 0) {
        /* beside libvirt a foreign QEMU is known by its process, whatever uuid it gives itself */
        bool is_by_process = strncmp(guest->uuid, "pid-", 4) == 0;
        if (!is_by_process && identity.uuid[0] != '\0' &&
            strcasecmp(identity.uuid, guest->uuid) != 0) {
            ma_process_close(&process);
            return -ESTALE;
        }
        guest->is_locked_by_arguments = identity.is_mem_locked;
        guest->inhibited_by_process = identity.inhibited_by;
        guest->pins.has_viommu = identity.has_viommu;
        guest->pins.max_memory_bytes = identity.max_memory_bytes;
    }
    /* A QEMU under numactl: its policy stands in no definition and no monitor tells it. */
    guest->has_policy = ma_process_read_policy(&process, &guest->policy, &err) == 0;
    guest->process = process;
    guest->io.read_usec = 0;
    guest->started_usec = ma_process_started_usec(process.start_ticks);
    return 0;
}

static void
find_cgroup(struct ma_tracked *guest, const struct ma_guests_host *host, uint64_t now_usec) {
    struct ma_err err = {0};
    struct ma_process_cgroup where;
    bool is_open = guest->cgroup.dir_fd >= 0;
    /* On v1 nobody is limited, and the kernel sorts all pids of a group for whoever opens its list. */
    bool is_for_good = is_open && guest->cgroup.layout != MA_CGROUP_V2;
    if (host->cgroup_root == NULL || is_for_good || now_usec < guest->cgroup_retry_usec) {
        return;
    }
    guest->cgroup_retry_usec = now_usec + (is_open ? CGROUP_PERIOD_USEC : RETRY_USEC);
    if (ma_process_read_cgroup(&guest->process, &where, &err) < 0) {
        return;
    }
    if (is_open) {
        if (ma_cgroup_look_again(&guest->cgroup, host->cgroup_root, &where, guest->process.pid)) {
            guest->oom = (struct ma_oom_base){.is_known = false}; /* another group counts anew */
            guest->n_nodes = 0;
        }
    } else if (ma_cgroup_open_of(&guest->cgroup, host->cgroup_root, &where, guest->process.pid,
                                 &err) < 0) {
        guest->cgroup.dir_fd = -1;
    }
}

static void
sample_cgroup(struct ma_tracked *guest, const struct ma_guests_host *host, uint64_t now_usec) {
    struct ma_err err = {0};
    find_cgroup(guest, host, now_usec);
    if (guest->cgroup.dir_fd >= 0 && host->has_nodes && !guest->cgroup.is_shared) {
        size_t n = 0;
        if (ma_cgroup_read_nodes(&guest->cgroup, guest->nodes, MA_TRACKED_NODES_MAX, &n, &err) ==
            0) {
            guest->n_nodes = n;
        }
    }
}

static void sample_devices(struct ma_tracked *guest, uint64_t now_usec) {
    if (guest->devices_checked_usec != 0 &&
        now_usec < guest->devices_checked_usec + DEVICES_PERIOD_USEC) {
        return;
    }
    struct ma_process_devices seen;
    struct ma_err err = {0};
    if (ma_process_read_devices(&guest->process, &seen, &err) == 0) {
        /* what the arguments speak of stays: a device that was opened and closed again may come back */
        guest->inhibited_by_process |= seen.inhibited_by;
        guest->pins.n_vfio = seen.n_vfio;
        guest->pins.n_vdpa = seen.n_vdpa;
    }
    guest->devices_checked_usec = now_usec;
}

static void note_pins(struct ma_tracked *guest, const struct ma_process_sample *s) {
    struct ma_tracked_pins *pins = &guest->pins;
    struct ma_err err = {0};
    pins->has_memlock = ma_process_read_memlock(&guest->process, &pins->memlock, &err) == 0;
    pins->account_bytes = ma_max_u64(s->locked_bytes, s->pinned_bytes);
    pins->threads = s->threads;
    pins->has_ipc_lock = (s->has & MA_PROCESS_HAS_CAPABILITIES) != 0 &&
                         (s->capabilities >> MA_PROCESS_CAP_IPC_LOCK & 1U) != 0;
}

static void note_growth(struct ma_tracked *guest, uint64_t now_usec) {
    uint64_t charged = ma_add_sat(guest->resident_bytes, guest->swap_bytes);
    if (guest->sampled_usec != 0 && now_usec > guest->sampled_usec) {
        uint64_t dt = now_usec - guest->sampled_usec;
        int64_t delta = ma_delta_i64(charged, guest->charged_before_bytes);
        int64_t now_rate = (int64_t) ((__int128) delta * (int64_t) MA_USEC_PER_SEC / (int64_t) dt);
        int64_t weight = (int64_t) ma_min_u64(dt * 1000 / GROWTH_WINDOW_USEC, 1000);
        int64_t before = guest->has_growth ? guest->growth_bytes_per_s : now_rate;
        guest->growth_bytes_per_s =
            (int64_t) (((__int128) before * (1000 - weight) + (__int128) now_rate * weight) / 1000);
        guest->has_growth = true;
    }
    guest->charged_before_bytes = charged;
}

static void note_cpu(struct ma_tracked *guest, uint64_t cpu_usec, uint64_t now_usec) {
    uint64_t vcpus = guest->facts.vcpus > 0 ? guest->facts.vcpus : 1;
    if (guest->cpu_usec != 0 && cpu_usec >= guest->cpu_usec && now_usec > guest->sampled_usec) {
        uint64_t wall = (now_usec - guest->sampled_usec) * vcpus;
        guest->cpu_permyriad = (uint32_t) ma_min_u64(
            ma_muldiv_sat(cpu_usec - guest->cpu_usec, MA_PERMYRIAD_FULL, wall), MA_PERMYRIAD_FULL);
        guest->has_cpu = true;
    }
    guest->cpu_usec = cpu_usec;
}

int ma_tracked_sample(struct ma_tracked *guest,
                      const struct ma_guests_host *host,
                      uint64_t now_usec) {
    int r = ma_tracked_open_process(guest, host, now_usec);
    if (r < 0) {
        return r;
    }
    struct ma_process_sample s = {0};
    struct ma_err err = {0};
    r = ma_process_read(&guest->process, &s, &err);
    if (r < 0) {
        return r;
    }
    sample_devices(guest, now_usec);
    guest->resident_bytes =
        ma_min_u64(ma_add_sat(s.rss_anon_bytes, s.rss_shmem_bytes), MA_BYTES_MAX);
    guest->swap_bytes = s.swap_bytes;
    guest->hugepage_bytes = s.hugetlb_bytes;
    struct ma_unmovable_input pins = {
        .is_mem_locked = guest->is_locked_by_arguments,
        .resident_bytes = guest->resident_bytes,
        .hugepage_bytes = s.hugetlb_bytes,
        .locked_bytes = s.locked_bytes,
        .pinned_bytes = s.pinned_bytes,
        .ram_bytes = guest->facts.max_bytes,
        .virtio_mem_plugged_bytes = guest->figures.virtio_mem.plugged_bytes,
    };
    guest->pinned_bytes = ma_unmovable_bytes(&pins);
    note_pins(guest, &s);
    note_growth(guest, now_usec);
    struct ma_process_cpu cpu = {0};
    if (ma_process_read_cpu(&guest->process, &cpu, &err) == 0) {
        note_cpu(guest, cpu.cpu_usec, now_usec);
    }
    ma_tracked_io_sample(&guest->io, &guest->process, now_usec);
    sample_cgroup(guest, host, now_usec);
    guest->sampled_usec = now_usec;
    return 0;
}

void ma_guests_sample_due(struct ma_guests *guests,
                          const struct ma_guests_host *host,
                          uint64_t now_usec,
                          uint64_t max_age_usec,
                          size_t max_guests) {
    size_t sampled = 0;
    for (size_t k = 0; k < guests->n && sampled < max_guests; k++) {
        struct ma_tracked *guest = guests->items[(guests->next_sample + k) % guests->n];
        if (guest->sampled_usec != 0 && now_usec < guest->sampled_usec + max_age_usec) {
            continue;
        }
        /* an error leaves the old figures, which age: staleness is how that shows */
        (void) ma_tracked_sample(guest, host, now_usec);
        sampled++;
        if (sampled == max_guests) {
            guests->next_sample = (guests->next_sample + k + 1) % guests->n;
        }
    }
}

uint64_t ma_guests_used_bytes(const struct ma_guests *guests) {
    uint64_t used = 0;
    for (size_t i = 0; i < guests->n; i++) {
        used = ma_add_sat(used, guests->items[i]->resident_bytes);
        used = ma_add_sat(used, guests->items[i]->hugepage_bytes);
    }
    return ma_min_u64(used, MA_BYTES_MAX);
}
