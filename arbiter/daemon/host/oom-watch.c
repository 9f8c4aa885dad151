/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* oom-watch.c - the kernel's kills, attributed.
 *
 * One number tells whether there is anything to look at: oom_kill of /proc/vmstat grows with each process that any OOM
 * killer takes, a cgroup's included. While it stands still a cycle costs one read of that file a second. When it grew,
 * and when a guest's process ends, memory.events of the guests' cgroups say whose process it was (core/exhaustion/oom.c).
 *
 * A guest that was killed is memarb's failure to act in time, or a cap that somebody set too low: told as an error and
 * recorded, whoever's fault it was. */

#include "oom-watch.h"

#include <string.h>

#include "bytes.h"
#include "oom.h"
#include "report.h"

/* Between two reads of /proc/vmstat (10 KiB of text, 50 us). */
#define LOOK_PERIOD_USEC MA_USEC_PER_SEC
/* A process that was picked ends within this, if it is a guest's QEMU with its memory; else it was a helper of its, or none of a guest's.
 * Too short: the end of a large guest is told as somebody else's; too long: the message comes late. Measured: 4 GiB
 * take up to 0.8 s. */
#define SETTLE_USEC (5 * MA_USEC_PER_SEC)

static bool read_host_kills(struct ma_daemon *d, uint64_t *ret) {
    struct ma_vmstat vmstat;
    struct ma_err err = {0};
    const uint32_t bit = 1U << MA_VMSTAT_OOM_KILL;
    if (ma_host_memory_read_vmstat(&d->host.memory, &vmstat, &err) < 0 || (vmstat.has & bit) == 0) {
        return false;
    }
    *ret = vmstat.counters[MA_VMSTAT_OOM_KILL];
    return true;
}

/* Growth since the last look goes to `unexplained`; false: not known. */
static bool look_at_host(struct ma_daemon *d, uint64_t now) {
    struct ma_oom_watch *w = &d->oom;
    uint64_t kills = 0;
    w->looked_usec = now;
    if (!read_host_kills(d, &kills)) {
        w->has_base = false;
        return false;
    }
    if (w->has_base && kills > w->base) {
        w->unexplained_usec = w->unexplained == 0 ? now : w->unexplained_usec;
        w->unexplained += kills - w->base;
    }
    w->base = kills;
    w->has_base = true;
    return true;
}

static bool read_cgroup(const struct ma_tracked *guest, uint64_t *ret_kills, uint64_t *ret_ooms) {
    struct ma_cgroup_sample sample = {.has = 0};
    if (guest->cgroup.dir_fd < 0 || guest->cgroup.is_shared ||
        ma_cgroup_read_events(&guest->cgroup, &sample) < 0 ||
        (sample.has & MA_CGROUP_HAS_EVENTS) == 0) {
        return false;
    }
    *ret_kills = sample.events[MA_CGROUP_EVENT_OOM_KILL];
    *ret_ooms = sample.events[MA_CGROUP_EVENT_OOM];
    return true;
}

static void tell(struct ma_daemon *d, const struct ma_tracked *guest, enum ma_oom_verdict verdict) {
    static const char *const words[MA_OOM_VERDICT_COUNT] = {
        [MA_OOM_BY_LIMIT] = "was killed by the kernel: its cgroup's own memory limit was reached",
        [MA_OOM_BY_HOST] =
            "was killed by the kernel, since the host was short: memarb was too late",
        [MA_OOM_LIKELY] =
            "ended unannounced while the kernel killed: memarb was too late, it seems",
        [MA_OOM_HELPER] = "lost a helper process to the kernel's OOM killer, and runs"};
    char available[MA_FORMAT_MAX];
    struct ma_report report = {.message_id = MA_MESSAGE_KERNEL_KILL,
                               .kind = "kernel-kill",
                               .level = verdict == MA_OOM_HELPER ? MA_LOG_WARNING : MA_LOG_ERR,
                               .uuid = guest->uuid,
                               .name = guest->name,
                               .result = ma_oom_verdict_name(verdict)};
    ma_report(d, &report, "Guest '%.64s' %s; %s of the host available at the last look.",
              guest->name, words[verdict],
              ma_format_bytes(available, d->snapshot.host.available_bytes));
    d->counters.kernel_kills[verdict]++;
    if (verdict != MA_OOM_HELPER) {
        d->oom.n_guests_killed++;
        ma_keep_record_kernel_kill(d, guest->uuid, ma_oom_verdict_name(verdict));
    }
}

static void explain(struct ma_daemon *d, uint64_t kills) {
    d->oom.unexplained = ma_sub_floor0(d->oom.unexplained, kills);
}

static void
judge_and_tell(struct ma_daemon *d, struct ma_tracked *guest, const struct ma_oom_evidence *e) {
    enum ma_oom_verdict verdict = ma_oom_judge(e);
    explain(d, e->has_cgroup ? e->cgroup_oom_kills : verdict == MA_OOM_LIKELY ? 1 : 0);
    if (verdict != MA_OOM_NONE && !(e->was_ended_by_us && e->has_ended)) {
        tell(d, guest, verdict);
    }
}

/* The beginning of what is counted, once its cgroup is known. */
static void take_base(struct ma_tracked *guest) {
    struct ma_oom_base *base = &guest->oom;
    if (!base->is_known && read_cgroup(guest, &base->kills, &base->ooms)) {
        base->is_known = true;
    }
}

/* The host's counter grew: does this guest's, while it lives? */
static void look_at_living(struct ma_daemon *d, struct ma_tracked *guest, uint64_t now) {
    struct ma_oom_base *base = &guest->oom;
    struct ma_oom_evidence e = {.has_cgroup = true};
    uint64_t kills = 0;
    uint64_t ooms = 0;
    if (!base->is_known || !read_cgroup(guest, &kills, &ooms) || kills <= base->kills) {
        return;
    }
    if (base->grown_usec == 0) {
        base->grown_usec = now; /* its process may be on its way out */
        return;
    }
    if (now < base->grown_usec + SETTLE_USEC) {
        return;
    }
    e.cgroup_oom_kills = kills - base->kills;
    *base = (struct ma_oom_base){.is_known = true, .kills = kills, .ooms = ooms};
    judge_and_tell(d, guest, &e);
}

/* What nobody of the guests can be blamed for. */
static void tell_unexplained(struct ma_daemon *d, uint64_t now) {
    struct ma_oom_watch *w = &d->oom;
    if (w->unexplained == 0 || now < w->unexplained_usec + 2 * SETTLE_USEC) {
        return;
    }
    struct ma_report report = {.message_id = MA_MESSAGE_KERNEL_KILL,
                               .kind = "kernel-kill",
                               .level = MA_LOG_WARNING,
                               .result = "elsewhere"};
    ma_report(d, &report,
              "The kernel killed %llu processes for want of memory; none is known to be a guest's.",
              (unsigned long long) w->unexplained);
    d->counters.kernel_kills[MA_OOM_NONE] += w->unexplained;
    w->unexplained = 0;
}

void ma_oom_watch_step(struct ma_daemon *d, uint64_t now_usec) {
    struct ma_oom_watch *w = &d->oom;
    for (size_t i = 0; i < d->guests.n; i++) {
        take_base(d->guests.items[i]);
    }
    if (w->looked_usec != 0 && now_usec < w->looked_usec + LOOK_PERIOD_USEC) {
        return;
    }
    (void) look_at_host(d, now_usec);
    for (size_t i = 0; i < d->guests.n && w->unexplained > 0; i++) {
        look_at_living(d, d->guests.items[i], now_usec);
    }
    tell_unexplained(d, now_usec);
}

void ma_oom_watch_on_end(struct ma_daemon *d, struct ma_tracked *guest) {
    uint64_t kills = 0;
    uint64_t ooms = 0;
    bool had_base = d->oom.has_base;
    struct ma_oom_evidence e = {.has_ended = true,
                                .was_ended_by_us = guest->is_killed || guest->is_ending_by_us,
                                /* libvirt says "ended" of a crash as well; only who shuts down
                                 * is said to before */
                                .was_said_to_end = guest->state == MA_GUEST_SHUTTING_DOWN};
    e.has_host = look_at_host(d, ma_now_usec()) && had_base;
    e.host_oom_kills = d->oom.unexplained;
    if (guest->oom.is_known && read_cgroup(guest, &kills, &ooms)) {
        e.has_cgroup = true;
        e.cgroup_oom_kills = ma_sub_floor0(kills, guest->oom.kills);
        e.cgroup_ooms = ma_sub_floor0(ooms, guest->oom.ooms);
    }
    judge_and_tell(d, guest, &e);
}
