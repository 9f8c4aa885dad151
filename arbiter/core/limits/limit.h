/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* limit.h - which limits a guest should have, and what to do about one: set it, put it back, leave it to whoever else
 * changed it. Pure. docs/adr/0012-limits-and-rungs.md says why each belongs to the rung it does. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"
#include "snapshot.h"

#define MA_LIMIT_NONE UINT64_MAX /* "max", unlimited */

enum ma_limit {
    MA_LIMIT_MEMLOCK,     /* RLIMIT_MEMLOCK, bytes */
    MA_LIMIT_MEMORY_MAX,  /* memory.max, bytes: its breach kills */
    MA_LIMIT_MEMORY_HIGH, /* memory.high, bytes: throttles */
    MA_LIMIT_SWAP_MAX,    /* memory.swap.max, bytes */
    MA_LIMIT_PIDS_MAX,    /* pids.max */
    MA_LIMIT_CPU_MAX,     /* cpu.max, microseconds of CPU a second */
    MA_LIMIT_OOM_GROUP,   /* memory.oom.group, 0 or 1 */
    MA_LIMIT_OOM_ADJ,     /* oom_score_adj + MA_OOM_ADJ_BIAS */
    MA_LIMIT_COUNT
};
const char *
ma_limit_name(enum ma_limit limit); /* as the kernel's file, "memlock", "oom-score-adj" */

/* oom_score_adj is -1000..1000; limits are not negative. */
#define MA_OOM_ADJ_BIAS 1000
/* In front of everything: the kernel adds all of RAM to its badness. */
#define MA_OOM_ADJ_FIRST 1000
/* Behind everything that is not exempt: 90 % of RAM is taken off its badness. Not -1000: a host full of guests that may not
 * be killed panics. memarbd itself has the same. */
#define MA_OOM_ADJ_NEVER (-900)
/* QEMU's thread pool may have 64 threads and a helper or two beside it, and a thread that cannot be made aborts QEMU
 * (util/qemu-thread-posix.c qemu_thread_create()). Twice that; too large bounds a fork bomb later. */
#define MA_LIMIT_PIDS_SPARE 128
/* memory.high squeezes to this much below a cap, so that memory.max fits afterwards: more than MA_LIMIT_USAGE_SPARE_BYTES, for the
 * kernel keeps usage about memory.high. Too small: memory.max never follows; too large: throttles more than was asked. */
#define MA_LIMIT_SQUEEZE_BYTES (UINT64_C(128) << 20)
/* memory.max is set this much above what is used at least: what is charged between the look and the write. Too small: the
 * write kills; too large: a cap that is nearly used up is set late. A guest dirties some 100 MiB/s (guess). */
#define MA_LIMIT_USAGE_SPARE_BYTES (UINT64_C(64) << 20)

/* Why a limit that is asked for is not, or not as asked for. */
enum ma_limit_note {
    MA_LIMIT_NOTE_NONE,
    MA_LIMIT_NOTE_NOT_ARMED, /* the armed rung does not reach so far */
    MA_LIMIT_NOTE_AS_HIGH,   /* memory.high in its place: its breach would kill (P1, P11) */
    MA_LIMIT_NOTE_OVER_CAP,  /* more is used than the cap: memory.high squeezes first */
    MA_LIMIT_NOTE_PINNED, /* more is pinned than the cap: nothing can come back, so nothing is set */
    MA_LIMIT_NOTE_WOULD_KILL, /* its breach would end a guest that must not end (P1) */
    MA_LIMIT_NOTE_RAISED,     /* set higher than asked for: below it the guest would break */
    MA_LIMIT_NOTE_UNBOUNDED,  /* no limit is safe: locked memory under libvirt */
    MA_LIMIT_NOTE_NO_OWNER,   /* no cgroup of its own, or none that memarb may write */
    MA_LIMIT_NOTE_TIGHTER,    /* a lower one is set by somebody else */
    MA_LIMIT_NOTE_LEFT,       /* somebody else changed it after memarb did: left to them */
    MA_LIMIT_NOTE_FAILED,     /* the kernel, systemd or a missing capability refused */
    MA_LIMIT_NOTE_COUNT
};
const char *ma_limit_note_name(enum ma_limit_note note); /* "" for NONE */

struct ma_limit_subject {
    const struct ma_guest_config *config;
    enum ma_arm arm;
    bool has_group;       /* a cgroup of its own, with an owner to ask */
    uint64_t usage_bytes; /* memory.current of the capped group */
    uint64_t pinned_bytes;
    uint64_t tasks; /* threads, or pids.current, whichever is more */
    uint32_t vcpus;
    uint64_t page_bytes;    /* the kernel rounds sizes down to it */
    bool has_memlock_limit; /* PinLimit= is said */
    bool has_memlock_target;
    uint64_t memlock_target_bytes;
    bool is_memlock_raised;
    uint64_t max_ours_bytes; /* memory.max as it stands, where that is memarb's; 0: it is not */
};
struct ma_limit_want {
    bool is_wanted;
    uint64_t value;
    enum ma_limit_note note;
};
/* `ret` has MA_LIMIT_COUNT entries. */
void ma_limits_want(const struct ma_limit_subject *subject, struct ma_limit_want *ret);

/* What is known of one limit of one process. */
struct ma_limit_entry {
    bool is_ours; /* memarb has set it, or was about to */
    /* somebody else changed it afterwards: left alone while `ours` is still what is wanted */
    bool is_left;
    uint64_t before; /* what it was when memarb came: what is put back */
    uint64_t prev;   /* what it was before the last set: a set that did not arrive leaves this */
    uint64_t ours;
    uint64_t set_usec; /* CLOCK_MONOTONIC */
};
enum ma_limit_step {
    MA_LIMIT_STEP_NONE,
    MA_LIMIT_STEP_SET,     /* note the entry, then set it to *ret_value */
    MA_LIMIT_STEP_RESTORE, /* set it to entry.before, then forget */
    MA_LIMIT_STEP_FORGET,  /* it is not as memarb left it: strike it */
    MA_LIMIT_STEP_WAIT,    /* too early to tell */
};
/* A change that was asked for may still be on its way (systemd). After this a value that is not there was undone by
 * somebody. Too short: passes our own for theirs; too long: owes what it does not. Guess. */
#define MA_LIMIT_LANDING_USEC (10 * UINT64_C(1000000))
/* libvirt raises RLIMIT_MEMLOCK before it plugs a device in and tells of it afterwards. So long nothing is lowered again
 * after a change by others, for a mapping that fails aborts QEMU. Too short: that; too long: only the alarm until then. */
#define MA_LIMIT_SETTLE_USEC (30 * UINT64_C(1000000))

struct ma_limit_look {
    enum ma_limit limit;
    struct ma_limit_want want;
    uint64_t now_value;
    uint64_t now_usec;
    /* want.value when the change by others was first seen, which may be now */
    uint64_t change_want;
    /* memlock: when it, or what it depends on, was last seen to change, or was first seen */
    uint64_t changed_usec;
    /* devices changed since memarb set it, or it is what libvirt sets for them */
    bool is_about_devices;
};
/* MA_LIMIT_STEP_FORGET: what is remembered of it. Theirs from now on, until something else is wanted than when they changed
 * it; libvirt's own changes are not meant to last. */
void ma_limit_forget(const struct ma_limit_look *look, struct ma_limit_entry *entry);
enum ma_limit_step ma_limit_step(const struct ma_limit_look *look,
                                 const struct ma_limit_entry *entry,
                                 enum ma_limit_note *ret_note);
