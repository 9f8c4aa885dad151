/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* systemd-oomd.c - systemd-oomd's two rules with its defaults, a guest's scope being the cgroup. systemd-oomd.md has
 * the source and what our figures force to be different. */
#include "bytes.h"
#include "reference.h"

/* oomd-manager.h: DEFAULT_SWAP_USED_LIMIT_PERCENT 90 holds for swap and for memory. */
#define FREE_BELOW_PERMYRIAD 1000U
/* THRESHOLD_SWAP_USED_PERCENT 5 */
#define SWAP_LEAST_PERMYRIAD 500U
/* DEFAULT_MEM_PRESSURE_LIMIT_PERCENT 60, of avg10 "full" */
#define PRESSURE_LIMIT_PERMYRIAD 6000U
/* DEFAULT_MEM_PRESSURE_DURATION_USEC 30 s above that limit. A policy keeps no clock of its own; avg60 does: under a
 * whole stall avg10 passes 60 % after 9.2 s, and 30 s later avg60 stands at 1 - exp(-39.2 / 60) = 48 %. */
#define SUSTAINED_PERMYRIAD 4800U
/* POST_ACTION_DELAY_USEC */
#define QUIET_USEC (UINT64_C(15) * MA_USEC_PER_SEC)

static bool is_quiet(const struct ma_policy_input *input) {
    const struct ma_state *state = input->state;
    uint32_t n = state->n_victims_logged;

    return n > 0 &&
           ma_sub_floor0(input->snapshot->taken_at_usec, state->victim_usec[n - 1]) < QUIET_USEC;
}

static bool is_swap_rule(const struct ma_host *host) {
    return (host->has & MA_HOST_HAS_SWAP) != 0 &&
           host->available_bytes < ma_permyriad_of(host->total_bytes, FREE_BELOW_PERMYRIAD) &&
           host->swap_free_bytes < ma_permyriad_of(host->swap_total_bytes, FREE_BELOW_PERMYRIAD);
}

static bool is_pressure_rule(const struct ma_host *host) {
    return host->pressure.full_avg10_permyriad > PRESSURE_LIMIT_PERMYRIAD &&
           host->pressure.full_avg60_permyriad > SUSTAINED_PERMYRIAD;
}

/* ManagedOOMPreference=: `never` is omit, `first` goes before the others. */
static bool is_candidate(const struct ma_guest *guest) {
    return guest->config.impact_class != MA_IMPACT_NEVER && guest->state != MA_GUEST_CRASHED;
}

/* The one with most of that amount, at least `least`; MA_NO_GROUP: none. */
static uint32_t most(const struct ma_snapshot *snapshot, bool is_by_swap, uint64_t least) {
    uint32_t chosen = MA_NO_GROUP;
    uint64_t largest = 0;

    for (uint32_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        uint64_t amount = is_by_swap ? guest->swap_bytes : guest->resident_bytes;

        if (is_candidate(guest) && amount > largest && amount > least) {
            largest = amount;
            chosen = i;
        }
    }
    return chosen;
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    const struct ma_host *host = &input->snapshot->host;
    struct ma_study study;
    uint32_t chosen = MA_NO_GROUP;
    int r = reference_begin(&study, input, plan);

    if (r < 0 || input->state->pending.is_pending || is_quiet(input)) {
        return r;
    }
    if (is_swap_rule(host)) {
        chosen = most(input->snapshot, true,
                      ma_permyriad_of(host->swap_total_bytes, SWAP_LEAST_PERMYRIAD));
    }
    if (chosen == MA_NO_GROUP && is_pressure_rule(host)) {
        chosen = most(input->snapshot, false, 0);
    }
    if (chosen != MA_NO_GROUP) {
        reference_add_kill(&study, chosen);
    }
    return 0;
}

const struct ma_policy ma_policy_systemd_oomd = {
    .name = "systemd-oomd",
    .summary = "kills by swap use when memory and swap are 90 % used, by size under long pressure",
    .source = "systemd 252 src/oom/oomd-manager.c, oomd-manager.h, oomd-util.c",
    .is_reference = true,
    .propose = propose,
};
