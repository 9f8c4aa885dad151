/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limit.c - the limits of one guest.
 *
 *  I1  what can kill a guest is not set on a `never` guest, and on others only when kill is armed: memory.max, and pids.max
 *      for `never` (a thread that cannot be made aborts QEMU). memory.high stands in for memory.max.
 *  I2  memory.max is never set below what is used, be it for the first time or lower than before: memory.high squeezes first,
 *      until it fits, and what memarb had set stays meanwhile
 *  I3  pids.max leaves room for what is there, the vCPUs and MA_LIMIT_PIDS_SPARE more
 *  I4  memarb only lowers: a limit that is tighter already stays, and one that was loose is put back exactly as it was
 *  I5  what somebody else changed after memarb did is theirs, until memarb is asked for another value
 *
 * oom_score_adj has no lower and no tighter: it is set only where it is 0, which is what QEMU starts with. */
#include "limit.h"

#include "bytes.h"

static const char *const names[MA_LIMIT_COUNT] = {
    [MA_LIMIT_MEMLOCK] = "memlock",
    [MA_LIMIT_MEMORY_MAX] = "memory.max",
    [MA_LIMIT_MEMORY_HIGH] = "memory.high",
    [MA_LIMIT_SWAP_MAX] = "memory.swap.max",
    [MA_LIMIT_PIDS_MAX] = "pids.max",
    [MA_LIMIT_CPU_MAX] = "cpu.max",
    [MA_LIMIT_OOM_GROUP] = "memory.oom.group",
    [MA_LIMIT_OOM_ADJ] = "oom-score-adj",
};
static const char *const note_names[MA_LIMIT_NOTE_COUNT] = {
    [MA_LIMIT_NOTE_NONE] = "",
    [MA_LIMIT_NOTE_NOT_ARMED] = "not-armed",
    [MA_LIMIT_NOTE_AS_HIGH] = "as-memory-high",
    [MA_LIMIT_NOTE_OVER_CAP] = "uses-more",
    [MA_LIMIT_NOTE_PINNED] = "pins-more",
    [MA_LIMIT_NOTE_WOULD_KILL] = "would-kill",
    [MA_LIMIT_NOTE_RAISED] = "raised",
    [MA_LIMIT_NOTE_UNBOUNDED] = "no-limit-is-safe",
    [MA_LIMIT_NOTE_NO_OWNER] = "no-cgroup-to-limit",
    [MA_LIMIT_NOTE_TIGHTER] = "tighter-already",
    [MA_LIMIT_NOTE_LEFT] = "left-to-others",
    [MA_LIMIT_NOTE_FAILED] = "refused",
};

const char *ma_limit_name(enum ma_limit limit) {
    return limit < MA_LIMIT_COUNT ? names[limit] : "?";
}
const char *ma_limit_note_name(enum ma_limit_note note) {
    return note < MA_LIMIT_NOTE_COUNT ? note_names[note] : "?";
}

static bool says(const struct ma_limit_subject *s, uint32_t bit) {
    return (s->config->has & bit) != 0;
}

static bool is_never(const struct ma_limit_subject *s) {
    return says(s, MA_CONFIG_HAS_IMPACT) && s->config->impact_class == MA_IMPACT_NEVER;
}

/* Wanted, unless the rung or the missing group says otherwise; a value that is wanted and not set is shown all the same. */
static struct ma_limit_want
want(const struct ma_limit_subject *s, uint64_t value, enum ma_limit_note note, bool needs_group) {
    struct ma_limit_want w = {.is_wanted = true, .value = value, .note = note};
    if (needs_group && !s->has_group) {
        w.note = MA_LIMIT_NOTE_NO_OWNER;
        w.is_wanted = false;
    } else if (s->arm < MA_ARM_RECLAIM) {
        w.note = MA_LIMIT_NOTE_NOT_ARMED;
        w.is_wanted = false;
    }
    return w;
}

static struct ma_limit_want refused(uint64_t value, enum ma_limit_note note) {
    return (struct ma_limit_want){.value = value, .note = note};
}

/* A small cap would be lost in it. */
static uint64_t squeeze_to(uint64_t cap, uint64_t page_bytes) {
    return ma_round_down(ma_max_u64(ma_sub_floor0(cap, MA_LIMIT_SQUEEZE_BYTES), cap / 2),
                         page_bytes);
}

static void want_memory(const struct ma_limit_subject *s, struct ma_limit_want *ret) {
    uint64_t cap = ma_round_down(s->config->cap_memory_bytes, s->page_bytes);
    struct ma_limit_want *max = &ret[MA_LIMIT_MEMORY_MAX];
    struct ma_limit_want *high = &ret[MA_LIMIT_MEMORY_HIGH];
    *max = want(s, cap, MA_LIMIT_NOTE_NONE, true);
    if (!max->is_wanted) {
        return;
    }
    if (s->pinned_bytes > cap || cap == 0) {
        *max = refused(cap, cap == 0 ? MA_LIMIT_NOTE_WOULD_KILL : MA_LIMIT_NOTE_PINNED);
        return;
    }
    bool may_kill = !is_never(s) && s->arm >= MA_ARM_KILL;
    bool is_there = s->max_ours_bytes != 0 && s->max_ours_bytes <= cap;
    bool fits = is_there || ma_add_sat(s->usage_bytes, MA_LIMIT_USAGE_SPARE_BYTES) <= cap;
    if (!may_kill) {
        *max = refused(cap, MA_LIMIT_NOTE_AS_HIGH);
        *high = want(s, cap, MA_LIMIT_NOTE_NONE, true);
    } else if (!fits) {
        *max = s->max_ours_bytes != 0 ? want(s, s->max_ours_bytes, MA_LIMIT_NOTE_OVER_CAP, true)
                                      : refused(cap, MA_LIMIT_NOTE_OVER_CAP);
        *high = want(s, squeeze_to(cap, s->page_bytes), MA_LIMIT_NOTE_NONE, true);
    }
}

static void want_pids(const struct ma_limit_subject *s, struct ma_limit_want *ret) {
    uint64_t floor = ma_add_sat(ma_add_sat(s->tasks, s->vcpus), MA_LIMIT_PIDS_SPARE);
    uint64_t cap = s->config->cap_pids;
    bool is_raised = cap < floor;
    /* In steps, so that every thread that comes and goes does not move it. */
    uint64_t value = is_raised ? ma_round_up(floor, MA_LIMIT_PIDS_SPARE) : cap;
    ret[MA_LIMIT_PIDS_MAX] =
        is_never(s) ? refused(cap, MA_LIMIT_NOTE_WOULD_KILL)
                    : want(s, value, is_raised ? MA_LIMIT_NOTE_RAISED : MA_LIMIT_NOTE_NONE, true);
}

static void want_caps(const struct ma_limit_subject *s, struct ma_limit_want *ret) {
    const struct ma_guest_config *c = s->config;
    if (says(s, MA_CONFIG_HAS_CAP_MEMORY)) {
        want_memory(s, ret);
    }
    if (says(s, MA_CONFIG_HAS_CAP_SWAP)) {
        ret[MA_LIMIT_SWAP_MAX] =
            want(s, ma_round_down(c->cap_swap_bytes, s->page_bytes), MA_LIMIT_NOTE_NONE, true);
    }
    if (says(s, MA_CONFIG_HAS_CAP_PIDS)) {
        want_pids(s, ret);
    }
    if (says(s, MA_CONFIG_HAS_CAP_CPU)) {
        ret[MA_LIMIT_CPU_MAX] =
            want(s, ma_muldiv_sat(c->cap_cpu_permyriad, MA_USEC_PER_SEC, MA_PERMYRIAD_FULL),
                 MA_LIMIT_NOTE_NONE, true);
    }
}

static void want_memlock(const struct ma_limit_subject *s, struct ma_limit_want *ret) {
    struct ma_limit_want *w = &ret[MA_LIMIT_MEMLOCK];
    if (!s->has_memlock_limit) {
        return;
    }
    *w = s->has_memlock_target
             ? want(s, s->memlock_target_bytes,
                    s->is_memlock_raised ? MA_LIMIT_NOTE_RAISED : MA_LIMIT_NOTE_NONE, false)
             : refused(s->config->pin_limit_bytes, MA_LIMIT_NOTE_UNBOUNDED);
}

void ma_limits_want(const struct ma_limit_subject *s, struct ma_limit_want *ret) {
    for (size_t i = 0; i < MA_LIMIT_COUNT; i++) {
        ret[i] = (struct ma_limit_want){.is_wanted = false};
    }
    want_memlock(s, ret);
    want_caps(s, ret);
    if (s->has_group) {
        ret[MA_LIMIT_OOM_GROUP] = want(s, 1, MA_LIMIT_NOTE_NONE, true);
    }
    bool is_first = says(s, MA_CONFIG_HAS_IMPACT) && s->config->impact_class == MA_IMPACT_FIRST;
    if (is_first || is_never(s)) {
        int adj = is_first ? MA_OOM_ADJ_FIRST : MA_OOM_ADJ_NEVER;
        ret[MA_LIMIT_OOM_ADJ] =
            want(s, (uint64_t) ((int64_t) adj + MA_OOM_ADJ_BIAS), MA_LIMIT_NOTE_NONE, false);
    }
}

/* I4: is `now` something that memarb may replace by `value`? */
static bool is_looser(enum ma_limit limit, uint64_t now, uint64_t value) {
    if (limit == MA_LIMIT_OOM_ADJ) {
        return now == MA_OOM_ADJ_BIAS && value != now;
    }
    return limit == MA_LIMIT_OOM_GROUP ? now < value : now > value;
}

/* A change that libvirt makes for devices: memarb's again once it has settled. Of RLIMIT_MEMLOCK alone. */
static bool is_libvirts(const struct ma_limit_look *look) {
    return look->limit == MA_LIMIT_MEMLOCK && look->is_about_devices;
}

static bool is_settled(const struct ma_limit_look *look) {
    return look->limit != MA_LIMIT_MEMLOCK ||
           look->now_usec >= ma_add_sat(look->changed_usec, MA_LIMIT_SETTLE_USEC);
}

/* It is as memarb left it. */
static enum ma_limit_step step_kept(const struct ma_limit_look *look,
                                    const struct ma_limit_entry *entry) {
    bool is_of_use =
        look->want.is_wanted && is_looser(look->limit, entry->before, look->want.value);
    if (!is_of_use) {
        return MA_LIMIT_STEP_RESTORE;
    }
    if (look->want.value == look->now_value) {
        return MA_LIMIT_STEP_NONE;
    }
    /* Up at once, down only when nothing is on its way. */
    return look->want.value > look->now_value || is_settled(look) ? MA_LIMIT_STEP_SET
                                                                  : MA_LIMIT_STEP_WAIT;
}

static enum ma_limit_step step_ours(const struct ma_limit_look *look,
                                    const struct ma_limit_entry *entry) {
    if (look->now_value == entry->ours) {
        return step_kept(look, entry);
    }
    if (look->now_value == entry->prev) {
        if (look->now_usec < ma_add_sat(entry->set_usec, MA_LIMIT_LANDING_USEC)) {
            return MA_LIMIT_STEP_WAIT;
        }
        return entry->prev != entry->before ? step_kept(look, entry) : MA_LIMIT_STEP_FORGET;
    }
    /* Changed by somebody else. */
    if (look->want.is_wanted && !is_settled(look)) {
        return MA_LIMIT_STEP_WAIT;
    }
    return look->want.is_wanted && is_libvirts(look) && look->now_value > look->want.value
               ? MA_LIMIT_STEP_SET
               : MA_LIMIT_STEP_FORGET;
}

void ma_limit_forget(const struct ma_limit_look *look, struct ma_limit_entry *entry) {
    entry->is_ours = false;
    entry->is_left = look->want.is_wanted && !is_libvirts(look);
    entry->ours = look->change_want;
}

enum ma_limit_step ma_limit_step(const struct ma_limit_look *look,
                                 const struct ma_limit_entry *entry,
                                 enum ma_limit_note *ret_note) {
    *ret_note = look->want.note;
    if (entry->is_ours) {
        return step_ours(look, entry);
    }
    if (!look->want.is_wanted || look->now_value == look->want.value) {
        return MA_LIMIT_STEP_NONE;
    }
    if (entry->is_left && entry->ours == look->want.value) {
        *ret_note = MA_LIMIT_NOTE_LEFT;
        return MA_LIMIT_STEP_NONE;
    }
    if (!is_looser(look->limit, look->now_value, look->want.value)) {
        *ret_note = MA_LIMIT_NOTE_TIGHTER;
        return MA_LIMIT_STEP_NONE;
    }
    return is_settled(look) ? MA_LIMIT_STEP_SET : MA_LIMIT_STEP_WAIT;
}
