/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proxmox.c - Proxmox VE's auto-ballooning. proxmox.md has the rules, their source and what our figures force to be
 * different.
 *
 *   goal      = 80 % of the host's memory - what is in use
 *   desired_i = min_i + (sum of (balloon - min) + goal) / sum of shares x shares_i, within [min_i, max_i]
 *
 * at most 100 MiB a guest and round. Who is clamped or limited drops out, and the rest is divided again until it is
 * used up. Growth goes to guests short of free memory first, a shrink asks those with free memory first. */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "reference.h"

/* pvestatd: ballooning-target (80 %), update cycle; AutoBalloon.pm: goals that small are left alone */
#define TARGET_PERMYRIAD 8000U
#define PERIOD_USEC      (UINT64_C(10) * MA_USEC_PER_SEC)
#define MAX_CHANGE_BYTES ((int64_t) (UINT64_C(100) * MA_MIB))
#define LEAST_GOAL_BYTES ((int64_t) (UINT64_C(10) * MA_MIB))
#define FREE_MEM_DIVISOR 4 /* freemem > balloon_min x 0.25: enough */
#define ROUNDS_MAX       1000U

struct pve_guest {
    uint32_t guest;
    bool has_free;
    bool has_result;
    bool is_done;
    int64_t balloon;
    int64_t minimum;
    int64_t maximum;
    int64_t shares;
    int64_t result;
};

struct pve {
    struct pve_guest *guests;
    size_t n_guests;
    int64_t max_change;
};

static bool is_listed(const struct pve_guest *guest, bool is_all, bool with_free) {
    return is_all || guest->has_free == with_free;
}

static int64_t current_of(const struct pve_guest *guest) {
    return guest->has_result ? guest->result : guest->balloon;
}

/* Where one round would have it; -1: nothing to do in this direction. */
static int64_t
step(const struct pve *pve, const struct pve_guest *guest, int64_t desired, bool is_grow) {
    if (is_grow && desired > guest->balloon) {
        return ma_min_i64(desired, guest->balloon + pve->max_change);
    }
    if (desired < guest->balloon) {
        return ma_max_i64(desired, guest->balloon - pve->max_change);
    }
    return -1;
}

struct pve_round {
    bool is_all;
    bool with_free;
    bool is_grow;
    bool should_repeat;
    bool has_progress;
    int64_t shares;
    int64_t sum; /* above the minima */
    int64_t changes;
};

static void add_up(const struct pve *pve, struct pve_round *round) {
    for (size_t k = 0; k < pve->n_guests; k++) {
        const struct pve_guest *guest = &pve->guests[k];

        if (is_listed(guest, round->is_all, round->with_free) && !guest->is_done) {
            round->sum += current_of(guest) - guest->minimum;
            round->shares += guest->shares;
        }
    }
}

static void give(const struct pve *pve, struct pve_guest *guest, struct pve_round *round) {
    int64_t part = (int64_t) ((__int128) round->sum * guest->shares / round->shares);
    int64_t desired = guest->minimum + part;
    int64_t to;

    if (desired > guest->maximum || desired < guest->minimum) {
        desired = desired > guest->maximum ? guest->maximum : guest->minimum;
        round->should_repeat = true;
    }
    to = step(pve, guest, desired, round->is_grow);
    if (to < 0) {
        guest->is_done = true;
        return;
    }
    if (to != guest->balloon) {
        int64_t change = to - current_of(guest);

        guest->result = to;
        guest->has_result = true;
        if (change != 0) {
            round->changes += change;
            round->has_progress = true;
            round->should_repeat = true;
        }
    }
}

/* Divides `bytes` among a list; returns what could not be given (or taken). */
static int64_t divide(struct pve *pve, bool is_all, bool with_free, int64_t bytes) {
    int64_t rest = bytes;

    for (size_t k = 0; k < pve->n_guests; k++) {
        pve->guests[k].is_done = false;
    }
    for (unsigned n = 0; rest != 0 && n < ROUNDS_MAX; n++) {
        struct pve_round round = {.is_all = is_all, .with_free = with_free, .is_grow = bytes > 0};

        add_up(pve, &round);
        round.sum += rest;
        for (size_t k = 0; k < pve->n_guests && round.shares > 0; k++) {
            if (is_listed(&pve->guests[k], is_all, with_free) && !pve->guests[k].is_done) {
                give(pve, &pve->guests[k], &round);
            }
        }
        rest -= round.changes;
        if (!round.should_repeat || !round.has_progress) {
            break;
        }
    }
    return rest;
}

static void work_towards(struct pve *pve, int64_t goal) {
    if (goal > LEAST_GOAL_BYTES) {
        int64_t rest = divide(pve, false, false, goal);

        if (rest >= goal) {
            (void) divide(pve, true, false, rest); /* what nobody takes stays */
        }
    } else if (goal < -LEAST_GOAL_BYTES) {
        int64_t rest = divide(pve, false, true, goal);

        if (rest <= goal) {
            (void) divide(pve, true, false, rest); /* likewise */
        }
    }
}

static void list(const struct ma_study *study, struct pve *pve) {
    const struct ma_snapshot *snapshot = study->input->snapshot;

    for (uint32_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        uint64_t least = ma_min_u64(study->facts[i].guarantee_bytes, guest->max_bytes);
        uint64_t free = guest->stats.claimed_free_bytes;
        bool has_shares = (guest->config.has & MA_CONFIG_HAS_SHARES) != 0;

        if (!reference_has_driver(guest) || least == 0) {
            continue;
        }
        pve->guests[pve->n_guests++] = (struct pve_guest){
            .guest = i,
            .has_free = free > least / FREE_MEM_DIVISOR && guest->actual_bytes >= least,
            .balloon = (int64_t) guest->actual_bytes,
            .minimum = (int64_t) least,
            .maximum = (int64_t) guest->max_bytes,
            .shares = has_shares ? (int64_t) guest->config.shares : MA_SHARES_DEFAULT,
        };
    }
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    const struct ma_host *host = &input->snapshot->host;
    struct pve pve = {.max_change = MAX_CHANGE_BYTES};
    struct ma_study study;
    uint64_t used = ma_sub_floor0(host->total_bytes, host->available_bytes);
    int r = reference_begin(&study, input, plan);

    if (r < 0 || !reference_is_due(&study, PERIOD_USEC)) {
        return r;
    }
    pve.guests = ma_arena_take(&study.arena, input->snapshot->n_guests, sizeof(*pve.guests));
    if (pve.guests == NULL) {
        return -ENOSPC;
    }
    list(&study, &pve);
    work_towards(&pve, ma_delta_i64(ma_permyriad_of(host->total_bytes, TARGET_PERMYRIAD), used));
    for (size_t k = 0; k < pve.n_guests; k++) {
        const struct pve_guest *guest = &pve.guests[k];

        if (guest->has_result && guest->result != guest->balloon) {
            reference_add_balloon(&study, guest->guest, (uint64_t) guest->result);
        }
    }
    return 0;
}

const struct ma_policy ma_policy_proxmox = {
    .name = "proxmox",
    .summary =
        "host use towards 80 %, divided by shares above the minima, 100 MiB a guest and round",
    .source = "Proxmox VE pve-manager 9.2 PVE/AutoBalloon.pm, PVE/Service/pvestatd.pm",
    .is_reference = true,
    .propose = propose,
};
