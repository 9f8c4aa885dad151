/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One limit through a random life: wants that come and go, somebody else who changes it, sets that are refused or arrive late,
 * and memarbd killed between the note and the set. Whatever happened, once nothing is wanted any more the limit is what it
 * would be had memarb never been there (P6); and it is never above that (I4 of limit.c).
 * MEMARB_PROPERTY_RUNS, MEMARB_PROPERTY_SEED. */
#include "limit.h"

#include "bytes.h"
#include "property.h"
#include "tap.h"

#define STEPS 60

static uint64_t now_seed; /* of the life under way: a failing check prints it */

struct life {
    enum ma_limit limit;
    uint64_t now_usec, value;
    uint64_t theirs; /* what it would be without memarb */
    uint64_t changed_usec;
    struct ma_limit_entry entry;
    struct ma_limit_want want;
    bool is_on_its_way; /* a set that has not arrived */
    uint64_t coming;
    bool is_coming_back;
};

static void arrive(struct life *l) {
    if (!l->is_on_its_way) {
        return;
    }
    l->is_on_its_way = false;
    l->value = l->coming;
    if (l->is_coming_back) {
        l->entry.is_ours = false;
    }
}

/* As guest-limits.c carries it out. */
static void set(struct life *l, uint64_t *seed) {
    bool is_as_left = l->entry.is_ours && (l->value == l->entry.ours || l->value == l->entry.prev);
    if (!is_as_left) {
        l->entry.before = l->value;
    }
    l->entry.prev = l->value;
    l->entry.ours = l->want.value;
    l->entry.set_usec = l->now_usec;
    l->entry.is_ours = true;
    l->entry.is_left = false;
    l->coming = l->want.value;
    l->is_coming_back = false;
    uint64_t fate = tap_below(seed, 8);
    if (fate == 0) { /* refused */
        l->entry.is_ours = l->entry.prev != l->entry.before;
        l->entry.ours = l->entry.prev;
    } else if (fate > 1) { /* 1: killed before the set */
        l->is_on_its_way = true;
    }
}

static void look(struct life *l, uint64_t *seed) {
    enum ma_limit_note note;
    if (l->is_on_its_way) {
        return; /* one at a time */
    }
    struct ma_limit_look look = {.limit = l->limit,
                                 .want = l->want,
                                 .now_value = l->value,
                                 .now_usec = l->now_usec,
                                 .change_want = l->want.value,
                                 .changed_usec = l->changed_usec,
                                 .is_about_devices = tap_below(seed, 2) == 0};
    enum ma_limit_step step = ma_limit_step(&look, &l->entry, &note);
    if (step == MA_LIMIT_STEP_SET) {
        set(l, seed);
    } else if (step == MA_LIMIT_STEP_RESTORE && tap_below(seed, 8) != 0) {
        l->coming = l->entry.before;
        l->is_coming_back = true;
        l->is_on_its_way = true;
    } else if (step == MA_LIMIT_STEP_FORGET) {
        ma_limit_forget(&look, &l->entry);
    }
}

/* Others' values are odd, memarb's even: equal ones could not be told apart, here or there. */
static void happen(struct life *l, uint64_t *seed) {
    switch (tap_below(seed, 6)) {
    case 0:
        if (!l->is_on_its_way) {
            l->theirs = l->value = tap_below(seed, 1000) * 2 + 1;
            l->changed_usec = l->now_usec;
        }
        break;
    case 1:
        l->want = (struct ma_limit_want){.is_wanted = tap_below(seed, 3) != 0,
                                         .value = tap_below(seed, 1000) * 2};
        break;
    case 2:
        l->now_usec += tap_below(seed, 60 * MA_USEC_PER_SEC);
        break;
    case 3:
        arrive(l);
        break;
    default:
        l->now_usec += MA_USEC_PER_SEC;
        look(l, seed);
        break;
    }
}

static void live(uint64_t *seed) {
    static const enum ma_limit limits[] = {MA_LIMIT_PIDS_MAX, MA_LIMIT_MEMLOCK, MA_LIMIT_CPU_MAX};
    struct life l = {.limit = limits[tap_below(seed, 3)], .now_usec = 1000 * MA_USEC_PER_SEC};
    l.theirs = l.value = tap_below(seed, 4) == 0 ? MA_LIMIT_NONE : tap_below(seed, 1000) * 2 + 1;
    for (unsigned i = 0; i < STEPS; i++) {
        happen(&l, seed);
        if (l.value > l.theirs) {
            TAP_FAIL("seed %" PRIu64 ": %" PRIu64 " is above %" PRIu64, now_seed, l.value,
                     l.theirs);
        }
    }
    l.want = (struct ma_limit_want){.is_wanted = false};
    for (unsigned i = 0; i < 100; i++) {
        arrive(&l);
        l.now_usec += MA_USEC_PER_SEC;
        look(&l, seed);
    }
    arrive(&l);
    if (l.value != l.theirs || l.entry.is_ours) {
        TAP_FAIL("seed %" PRIu64 ": %" PRIu64 " is left of %" PRIu64, now_seed, l.value, l.theirs);
    }
}

static void what_it_would_be_without_memarb_is_what_is_left(void) {
    uint64_t runs = property_runs(20000);
    uint64_t first = property_seed(20261122, runs);
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t seed = first + i;
        now_seed = first + i;
        live(&seed);
    }
}

TAP_MAIN(TAP_CASE(what_it_would_be_without_memarb_is_what_is_left));
