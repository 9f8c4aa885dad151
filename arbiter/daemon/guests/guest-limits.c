/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-limits.c - one look at a guest's limits after another; core/limits/limit.c says what to do about each.
 *
 *  L1  what a limit was stands in the log before it is set (P6, P7), and is struck when it is back or somebody else's
 *  L2  nothing is set in dry-run, while observing, on a guest that is held, starting, moving or has bad settings; what is
 *      memarb's is put back in all of these but the first
 *  L3  RLIMIT_MEMLOCK and oom_score_adj are system calls on the loop; cgroup files may make the kernel reclaim and systemd
 *      takes its time, so those go to the workers, one at a time for each limit of a guest
 *
 * RLIMIT_MEMLOCK has two values. With CAP_SYS_RESOURCE the hard one is lowered, which QEMU cannot undo; without it a hard
 * limit could never be put back, so only the soft one is, and QEMU could raise it by itself.
 * Each guest is looked at when it has been sampled; RLIMIT_MEMLOCK of guests that have a limit in every cycle. */
#include "guest-limits.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "report.h"

/* What was refused is tried again after this: a capability or a unit file was mended, a bus is back. Guess. */
#define REFUSED_USEC (60 * MA_USEC_PER_SEC)
/* An account of locked pages that moves by more than this is a device being plugged in: nothing is lowered meanwhile. */
#define ACCOUNT_STILL_BYTES MA_MIB

/* An oom_score_adj that memarb has no business with is read this often, for the sum of what the kernel may hardly kill.
 * Shorter: a file of each of a thousand processes for a figure that hardly ever moves; longer: the warning waits. Chosen. */
#define ADJ_PERIOD_USEC (60 * MA_USEC_PER_SEC)

static const struct ma_limit_entry no_entry;

static const struct ma_limit_entry *entry_of(const struct ma_tracked *guest, enum ma_limit limit) {
    const struct ma_limit_record *record = guest->limits.record;
    return record != NULL ? &record->entries[limit] : &no_entry;
}

bool ma_guest_limits_is_ours(const struct ma_tracked *guest, enum ma_limit limit) {
    return entry_of(guest, limit)->is_ours;
}

bool ma_guest_limits_is_memlock_kept(const struct ma_tracked *guest) {
    const struct ma_limit_entry *entry = entry_of(guest, MA_LIMIT_MEMLOCK);
    const struct ma_process_memlock *now = &guest->pins.memlock;
    return entry->is_ours && now->soft_bytes <= entry->ours &&
           (now->soft_bytes == entry->ours || now->hard_bytes == entry->ours);
}

static bool has_ours(const struct ma_tracked *guest) {
    for (unsigned i = 0; i < MA_LIMIT_COUNT; i++) {
        if (ma_guest_limits_is_ours(guest, (enum ma_limit) i)) {
            return true;
        }
    }
    return false;
}

size_t ma_guest_limits_n_owed(const struct ma_daemon *d) {
    size_t n = 0;
    for (size_t i = 0; i < d->guests.n; i++) {
        n += has_ours(d->guests.items[i]) ? 1 : 0;
    }
    return n;
}

static bool is_alive(const struct ma_daemon *d, const struct ma_limit_record *record) {
    struct ma_process process = MA_PROCESS_CLOSED;
    struct ma_err err;
    if (ma_process_open(&process, d->options.proc_root, (pid_t) record->pid, &err) < 0) {
        return false;
    }
    bool is_it = process.start_ticks == record->start_ticks;
    ma_process_close(&process);
    return is_it;
}

bool ma_guest_limits_are_all_known(struct ma_daemon *d) {
    bool are_known = true;
    struct ma_limit_record *record = ma_limit_log_next(d->pins.limit_log, NULL);
    for (; record != NULL; record = ma_limit_log_next(d->pins.limit_log, record)) {
        const struct ma_tracked *guest = ma_guests_find(&d->guests, record->uuid);
        if (guest != NULL && guest->limits.record == record) {
            continue;
        }
        if (is_alive(d, record)) {
            are_known = false;
        } else {
            ma_limit_log_drop(record);
        }
    }
    return are_known;
}

void ma_guest_limits_forget(struct ma_tracked *guest) {
    ma_limit_log_drop(guest->limits.record);
    if (guest->limits.group.dir_fd >= 0) {
        ma_cgroup_close(&guest->limits.group);
    }
    guest->limits = (struct ma_tracked_limits){.group = MA_CGROUP_CLOSED};
}

void ma_guest_limits_release(struct ma_tracked *guest) {
    guest->limits.is_given_back = true;
}

static void bind_record(struct ma_daemon *d, struct ma_tracked *guest, uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    if (l->is_bound) {
        return;
    }
    l->record = ma_limit_log_find(d->pins.limit_log, guest->uuid, (uint64_t) guest->process.pid,
                                  guest->process.start_ticks);
    l->is_bound = true;
    l->changed_usec = now_usec;
    l->seen_devices = l->set_devices = guest->pins.devices;
    l->set_limit_bytes = guest->config.config.pin_limit_bytes;
}

static bool is_in_cgroup(unsigned limit) {
    return limit != MA_LIMIT_MEMLOCK && limit != MA_LIMIT_OOM_ADJ && limit != MA_LIMIT_OOM_GROUP;
}

/* What memarb has set there, or is about to, goes back into the very group. */
static bool is_group_in_use(const struct ma_tracked *guest) {
    for (unsigned i = 0; i < MA_LIMIT_COUNT; i++) {
        if (is_in_cgroup(i) && (ma_guest_limits_is_ours(guest, (enum ma_limit) i) ||
                                guest->limits.items[i].request_id != 0)) {
            return true;
        }
    }
    return false;
}

/* A guest that was moved, or got company, is limited no more by the group where it was alone. */
static void find_group(struct ma_daemon *d, struct ma_tracked *guest) {
    struct ma_tracked_limits *l = &guest->limits;
    struct ma_err err;
    struct ma_cgroup_owner owner;
    ma_cgroup_owner_of(&guest->cgroup, &owner);
    l->lack = d->guests_host.cgroup_root == NULL ? MA_CGROUP_LACK_MEMORY : owner.lack;
    l->is_group_its_own =
        owner.kind != MA_CGROUP_OWNER_NONE && strcmp(owner.path, l->group.path) == 0;
    if (l->group.dir_fd >= 0 && (l->is_group_its_own || is_group_in_use(guest))) {
        return;
    }
    ma_cgroup_close(&l->group);
    l->owner = owner.kind;
    memcpy(l->unit, owner.unit, sizeof(l->unit));
    if (owner.kind != MA_CGROUP_OWNER_NONE &&
        ma_cgroup_open_path(&l->group, d->guests_host.cgroup_root, owner.path, &err) < 0) {
        l->group = MA_CGROUP_CLOSED;
    }
    l->is_group_its_own = l->group.dir_fd >= 0;
}

static bool is_same(const struct ma_pin_devices *a, const struct ma_pin_devices *b) {
    return a->is_known == b->is_known && a->is_locked == b->is_locked &&
           a->has_viommu == b->has_viommu && a->n_vfio == b->n_vfio && a->n_nvme == b->n_nvme &&
           a->n_vdpa == b->n_vdpa && a->hard_limit_bytes == b->hard_limit_bytes &&
           a->total_bytes == b->total_bytes && a->max_bytes == b->max_bytes;
}

static uint64_t memlock_now(const struct ma_daemon *d, const struct ma_tracked *guest) {
    const struct ma_process_memlock *memlock = &guest->pins.memlock;
    return d->pins.can_raise_limits ? memlock->hard_bytes : memlock->soft_bytes;
}

/* When did anything last move that a lower limit could break? */
static void note_changes(const struct ma_daemon *d, struct ma_tracked *guest, uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    uint64_t account = guest->pins.account_bytes;
    uint64_t moved = ma_max_u64(ma_sub_floor0(account, l->seen_account_bytes),
                                ma_sub_floor0(l->seen_account_bytes, account));
    if (memlock_now(d, guest) != l->seen_memlock || moved > ACCOUNT_STILL_BYTES ||
        !is_same(&guest->pins.devices, &l->seen_devices)) {
        l->changed_usec = now_usec;
        l->seen_memlock = memlock_now(d, guest);
        l->seen_account_bytes = account;
        l->seen_devices = guest->pins.devices;
    }
}

static uint64_t tasks_of(const struct ma_tracked *guest) {
    uint64_t tasks = 0;
    struct ma_err err;
    if (guest->limits.group.dir_fd < 0 ||
        ma_cgroup_read_tasks(guest->limits.group.dir_fd, &tasks, &err) < 0) {
        tasks = 0;
    }
    return ma_max_u64(tasks, guest->pins.threads);
}

static bool is_giving_back(const struct ma_daemon *d, const struct ma_tracked *guest) {
    return d->phase == MA_PHASE_RELEASING || guest->limits.is_given_back;
}

static int read_now(const struct ma_daemon *d,
                    const struct ma_tracked *guest,
                    enum ma_limit limit,
                    uint64_t *ret) {
    const struct ma_tracked_limits *l = &guest->limits;
    struct ma_err err;
    if (limit == MA_LIMIT_MEMLOCK) {
        *ret = memlock_now(d, guest);
        return guest->pins.has_memlock ? 0 : -ENODATA;
    }
    if (limit == MA_LIMIT_OOM_ADJ) {
        *ret = (uint64_t) ((int64_t) guest->limits.oom_score_adj + MA_OOM_ADJ_BIAS);
        return guest->limits.has_adj ? 0 : -ENODATA;
    }
    int dir_fd = limit == MA_LIMIT_OOM_GROUP ? guest->cgroup.dir_fd : l->group.dir_fd;
    int r = dir_fd < 0 ? -ENODATA : ma_cgroup_read_limit(dir_fd, limit, ret, &err);
    if (r == -ENOENT && l->owner == MA_CGROUP_OWNER_SYSTEMD) {
        *ret = MA_LIMIT_NONE; /* a controller that systemd has not switched on there: it will */
        r = 0;
    }
    return r;
}

/* memory.max as it stands, where memarb has set it; else 0. */
static uint64_t max_in_force(const struct ma_daemon *d, const struct ma_tracked *guest) {
    const struct ma_limit_entry *entry = entry_of(guest, MA_LIMIT_MEMORY_MAX);
    uint64_t now = 0;
    bool is_it =
        entry->is_ours && read_now(d, guest, MA_LIMIT_MEMORY_MAX, &now) == 0 && now == entry->ours;
    return is_it ? now : 0;
}

static void want_all(struct ma_daemon *d, struct ma_tracked *guest) {
    struct ma_tracked_limits *l = &guest->limits;
    const struct ma_pin_verdict *v = &guest->pins.verdict;
    struct ma_limit_want wants[MA_LIMIT_COUNT];
    struct ma_limit_subject subject = {
        .config = &guest->config.config,
        .arm = is_giving_back(d, guest) ? MA_ARM_OBSERVE : d->settings.arm,
        .has_group = l->group.dir_fd >= 0 && l->is_group_its_own,
        .pinned_bytes = guest->pinned_bytes,
        .tasks = tasks_of(guest),
        .vcpus = guest->facts.vcpus,
        .page_bytes = (uint64_t) sysconf(_SC_PAGESIZE),
        .has_memlock_limit = (guest->config.config.has & MA_CONFIG_HAS_PIN_LIMIT) != 0,
        .has_memlock_target = v->has_target,
        .memlock_target_bytes = v->target_bytes,
        .is_memlock_raised = v->target_bytes > guest->config.config.pin_limit_bytes,
        .max_ours_bytes = max_in_force(d, guest),
    };
    struct ma_err err;
    if (subject.has_group && ma_cgroup_read_current(&l->group, &subject.usage_bytes, &err) < 0) {
        subject.has_group = false;
    }
    ma_limits_want(&subject, wants);
    /* What was set for these devices and this limit is not lowered for an account that shrinks. */
    const struct ma_limit_entry *memlock = entry_of(guest, MA_LIMIT_MEMLOCK);
    if (memlock->is_ours && subject.has_memlock_limit && !guest->pins.devices.is_known) {
        wants[MA_LIMIT_MEMLOCK] = (struct ma_limit_want){.is_wanted = subject.arm >= MA_ARM_RECLAIM,
                                                         .value = memlock->ours}; /* hold */
    }
    if (memlock->is_ours && is_same(&guest->pins.devices, &l->set_devices) &&
        l->set_limit_bytes == guest->config.config.pin_limit_bytes) {
        wants[MA_LIMIT_MEMLOCK].value = ma_max_u64(wants[MA_LIMIT_MEMLOCK].value, memlock->ours);
    }
    /* Nor is room for threads taken away again when some of them end: they come back. */
    const struct ma_limit_entry *pids = entry_of(guest, MA_LIMIT_PIDS_MAX);
    if (pids->is_ours && wants[MA_LIMIT_PIDS_MAX].note == MA_LIMIT_NOTE_RAISED) {
        wants[MA_LIMIT_PIDS_MAX].value = ma_max_u64(wants[MA_LIMIT_PIDS_MAX].value, pids->ours);
    }
    for (size_t i = 0; i < MA_LIMIT_COUNT; i++) {
        l->items[i].want = wants[i];
    }
}

static int
apply_memlock(const struct ma_daemon *d, const struct ma_tracked *guest, uint64_t value) {
    const struct ma_process_memlock *now = &guest->pins.memlock;
    struct ma_process_memlock fresh = {.soft_bytes = value, .hard_bytes = now->hard_bytes};
    struct ma_err err;
    if (d->pins.can_raise_limits) {
        fresh.hard_bytes = value;
        fresh.soft_bytes = ma_min_u64(guest->limits.record->memlock_soft_before, value);
    }
    return ma_process_set_memlock(&guest->process, &fresh, &err);
}

/* 0: done; 1: under way; or negative errno. */
static int
apply(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit, uint64_t value) {
    struct ma_tracked_limits *l = &guest->limits;
    struct ma_err err;
    if (limit == MA_LIMIT_MEMLOCK) {
        return apply_memlock(d, guest, value);
    }
    if (limit == MA_LIMIT_OOM_ADJ) {
        return ma_process_set_oom_score_adj(&guest->process, (int) value - MA_OOM_ADJ_BIAS, &err);
    }
    struct ma_limit_request request = {
        .id = ++d->next_request_id, .limit = limit, .value = value, .dir_fd = l->group.dir_fd};
    memcpy(request.uuid, guest->uuid, sizeof(request.uuid));
    if (limit == MA_LIMIT_OOM_GROUP) {
        request.dir_fd = guest->cgroup.dir_fd;
    } else if (l->owner == MA_CGROUP_OWNER_SYSTEMD) {
        memcpy(request.unit, l->unit, sizeof(request.unit));
    }
    int r = ma_kernel_actions_limit(d->kernel, &request);
    l->items[limit].request_id = r == 0 ? request.id : 0;
    return r == 0 ? 1 : r;
}

static void
store(struct ma_tracked *guest, enum ma_limit limit, const struct ma_limit_entry *entry) {
    ma_limit_log_note(guest->limits.record, limit, entry);
}

static void drop_if_empty(struct ma_tracked *guest) {
    struct ma_limit_record *record = guest->limits.record;
    for (unsigned i = 0; record != NULL && i < MA_LIMIT_COUNT; i++) {
        if (record->entries[i].is_ours || record->entries[i].is_left) {
            return;
        }
    }
    ma_limit_log_drop(record);
    guest->limits.record = NULL;
}

/* L1: what it was, before it is touched. */
static bool note_before(struct ma_daemon *d,
                        struct ma_tracked *guest,
                        enum ma_limit limit,
                        uint64_t value,
                        uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    uint64_t now_value = l->items[limit].now_value;
    if (l->record == NULL) {
        l->record = ma_limit_log_get(d->pins.limit_log, guest->uuid, (uint64_t) guest->process.pid,
                                     guest->process.start_ticks);
    }
    if (l->record == NULL) {
        return false;
    }
    struct ma_limit_entry entry = l->record->entries[limit];
    bool is_as_left = entry.is_ours && (now_value == entry.ours || now_value == entry.prev);
    if (!is_as_left) {
        entry.before =
            now_value; /* also what libvirt has set since: that is what it would be without memarb */
        if (limit == MA_LIMIT_MEMLOCK) {
            l->record->memlock_soft_before = guest->pins.memlock.soft_bytes;
        }
    }
    entry.prev = now_value;
    entry.ours = value;
    entry.set_usec = now_usec;
    entry.is_ours = true;
    entry.is_left = false;
    store(guest, limit, &entry);
    return true;
}

/* As it was: memarb's old value, or nothing of memarb's. */
static void take_back_note(struct ma_tracked *guest, enum ma_limit limit) {
    struct ma_limit_entry entry = *entry_of(guest, limit);
    if (guest->limits.record != NULL && !guest->limits.items[limit].is_restoring) {
        entry.is_ours = entry.prev != entry.before;
        entry.ours = entry.prev;
        store(guest, limit, &entry);
        drop_if_empty(guest);
    }
}

static void
refuse(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit, const char *why) {
    struct ma_tracked_limit *item = &guest->limits.items[limit];
    take_back_note(guest, limit);
    item->retry_usec = ma_now_usec() + REFUSED_USEC;
    item->note = MA_LIMIT_NOTE_FAILED;
    ma_limit_tell_refused(d, guest, limit, why);
}

static void finish(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit) {
    struct ma_tracked_limit *item = &guest->limits.items[limit];
    struct ma_limit_entry entry = *entry_of(guest, limit);
    ma_limit_tell_set(d, guest, limit, item->asked_from, item->asked);
    item->now_value = item->asked;
    item->is_change_told = false;
    if (item->is_restoring && guest->limits.record != NULL) {
        entry.is_ours = false;
        store(guest, limit, &entry);
        drop_if_empty(guest);
    }
    item->is_restoring = false;
}

static void
carry_out(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit, uint64_t value) {
    struct ma_tracked_limits *l = &guest->limits;
    l->items[limit].asked = value;
    l->items[limit].asked_from = l->items[limit].now_value;
    int r = apply(d, guest, limit, value);
    if (r == -EBUSY) {
        take_back_note(guest, limit); /* the workers have enough to do: in the next cycle */
        l->checked_usec = 0;
        return;
    }
    if (r < 0) {
        refuse(d, guest, limit, strerror(-r));
        return;
    }
    if (limit == MA_LIMIT_MEMLOCK) {
        struct ma_err err;
        (void) ma_process_read_memlock(&guest->process, &guest->pins.memlock,
                                       &err); /* next look then */
        l->seen_memlock = memlock_now(d, guest);
        l->set_devices = guest->pins.devices;
        l->set_limit_bytes = guest->config.config.pin_limit_bytes;
    } else if (limit == MA_LIMIT_OOM_ADJ) {
        l->oom_score_adj = (int) value - MA_OOM_ADJ_BIAS;
    }
    if (r == 0) {
        finish(d, guest, limit);
    }
}

static void leave(struct ma_tracked *guest, enum ma_limit limit, const struct ma_limit_look *look) {
    struct ma_limit_entry entry = *entry_of(guest, limit);
    guest->limits.items[limit].is_change_told = false; /* this one was; the next is another */
    ma_limit_forget(look, &entry);
    store(guest, limit, &entry);
    drop_if_empty(guest);
}

/* L2 */
static bool may_set(const struct ma_daemon *d, const struct ma_tracked *guest, uint64_t now_usec) {
    size_t at = ma_snapshot_find(&d->snapshot, guest->uuid);
    const struct ma_guest_config *config = &guest->config.config;
    bool is_bad = (config->has & MA_CONFIG_HAS_VALID) != 0 && config->is_invalid;
    if (at == SIZE_MAX || is_bad || now_usec < guest->held_until_usec || guest->is_killed) {
        return false;
    }
    enum ma_guest_state state = d->snapshot.guests[at].state;
    return state == MA_GUEST_RUNNING || state == MA_GUEST_PAUSED;
}

static void
look_at(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit, uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    struct ma_tracked_limit *item = &l->items[limit];
    const struct ma_limit_entry *entry = entry_of(guest, limit);
    item->note = item->want.note;
    bool is_of_interest = item->want.is_wanted || item->want.note != 0 || entry->is_ours;
    item->has_now = is_of_interest && read_now(d, guest, limit, &item->now_value) == 0;
    if (!item->has_now || item->request_id != 0) {
        return;
    }
    struct ma_limit_look look = {
        .limit = limit,
        .want = item->want,
        .now_value = item->now_value,
        .now_usec = now_usec,
        .change_want = item->is_change_told ? item->change_want : item->want.value,
        .changed_usec = l->changed_usec,
        .is_about_devices = !is_same(&guest->pins.devices, &l->set_devices) ||
                            item->now_value == guest->pins.verdict.libvirt_bytes,
    };
    enum ma_limit_step step = ma_limit_step(&look, entry, &item->note);
    bool is_changed =
        entry->is_ours && item->now_value != entry->ours && item->now_value != entry->prev;
    if (is_changed && !item->is_change_told) {
        item->is_change_told = true;
        item->change_want = item->want.value;
        ma_limit_tell_changed(d, guest, limit, entry->ours);
    }
    if (ma_daemon_is_dry_run(d) || now_usec < item->retry_usec) {
        return;
    }
    if (step == MA_LIMIT_STEP_SET && may_set(d, guest, now_usec) &&
        note_before(d, guest, limit, item->want.value, now_usec)) {
        item->is_restoring = false;
        carry_out(d, guest, limit, item->want.value);
    } else if (step == MA_LIMIT_STEP_RESTORE) {
        item->is_restoring = true;
        carry_out(d, guest, limit, entry->before);
    } else if (step == MA_LIMIT_STEP_FORGET) {
        leave(guest, limit, &look);
    }
}

/* After a start guests are met piece by piece: their process, what they are, their settings. What memarb had set before must
 * not be given back because nothing asks for it yet. */
static bool is_known(const struct ma_daemon *d, const struct ma_tracked *guest) {
    if (guest->process.pid == 0 || !guest->pins.is_judged) {
        return false;
    }
    bool may_be_libvirts = d->libvirt != NULL && !guest->is_on_libvirt && !d->is_libvirt_listed;
    return is_giving_back(d, guest) || (guest->has_facts && guest->has_config && !may_be_libvirts);
}

static void read_adj(struct ma_tracked *guest, uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    const struct ma_limit_want *want = &l->items[MA_LIMIT_OOM_ADJ].want;
    bool is_of_interest =
        want->is_wanted || want->note != 0 || ma_guest_limits_is_ours(guest, MA_LIMIT_OOM_ADJ);
    if (is_of_interest || l->adj_read_usec == 0 || now_usec >= l->adj_read_usec + ADJ_PERIOD_USEC) {
        struct ma_err err;
        l->has_adj = ma_process_read_oom_score_adj(&guest->process, &l->oom_score_adj, &err) == 0;
        l->adj_read_usec = now_usec;
    }
}

static void watch_one(struct ma_daemon *d, struct ma_tracked *guest, uint64_t now_usec) {
    struct ma_tracked_limits *l = &guest->limits;
    struct ma_err err;
    bool is_fresh = l->checked_usec != guest->sampled_usec || is_giving_back(d, guest);
    bool has_memlock = l->items[MA_LIMIT_MEMLOCK].want.is_wanted ||
                       ma_guest_limits_is_ours(guest, MA_LIMIT_MEMLOCK);
    bind_record(d, guest, now_usec);
    if (has_memlock) {
        guest->pins.has_memlock =
            ma_process_read_memlock(&guest->process, &guest->pins.memlock, &err) == 0;
    }
    note_changes(d, guest, now_usec);
    if (is_fresh) {
        find_group(d, guest);
        want_all(d, guest);
        read_adj(guest, now_usec);
        l->checked_usec = guest->sampled_usec;
    }
    for (unsigned i = 0; i < MA_LIMIT_COUNT; i++) {
        if (is_fresh || (i == MA_LIMIT_MEMLOCK && has_memlock)) {
            look_at(d, guest, (enum ma_limit) i, now_usec);
            ma_limit_tell_note(d, guest, (enum ma_limit) i);
        }
    }
    l->is_given_back = l->is_given_back && now_usec < guest->held_until_usec;
}

void ma_guest_limits_watch(struct ma_daemon *d, uint64_t now_usec) {
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (is_known(d, guest)) {
            watch_one(d, guest, now_usec);
        }
    }
    ma_limit_tell_unkillable(d);
}

bool ma_guest_limits_on_outcome(struct ma_daemon *d, const struct ma_outcome *outcome) {
    struct ma_tracked *guest = ma_guests_find(&d->guests, outcome->uuid);
    if (outcome->action != MA_ACTION_CAP) {
        return false;
    }
    for (unsigned i = 0; guest != NULL && i < MA_LIMIT_COUNT; i++) {
        struct ma_tracked_limit *item = &guest->limits.items[i];
        if (item->request_id == outcome->id) {
            item->request_id = 0;
            if (outcome->result == MA_OUTCOME_DONE) {
                finish(d, guest, (enum ma_limit) i);
            } else {
                refuse(d, guest, (enum ma_limit) i, outcome->detail);
            }
        }
    }
    return true;
}
