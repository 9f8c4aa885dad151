/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* options.c - the gentle options of a guest.
 *
 *   balloon   three targets: what is free; what is cache, down to the working set; into the working set, down to P2's
 *             floor. None goes further than the shortage asks for: shrinking a giant to its floor for the sake of
 *             100 MiB would hurt for nothing.
 *   resize    virtio-mem unplugged in whole blocks, the same floor.
 *   reclaim   the host's cgroup reclaim of cold pages into swap, a quarter of the resident at a time. Swap is shared
 *             out beforehand: all reclaims together keep it above its soft watermark, so that no choice of options
 *             can break P3 and the certificate needs no constraint that the plan does not show.
 *
 * An option that serves no short row is left out; so is one that returns no more than the one before it. */
#include "options.h"

#include <string.h>

#include "bytes.h"

/* Of a guest's resident memory, how much one reclaim asks for. Too small: many rounds; too large: pages that are in
 * use go out and come back at once. Guessed. */
#define RECLAIM_PERMYRIAD 2500U
/* Cold pages written to swap. Too small: victims instead; too large: late. A SATA disk's speed, guessed. */
#define RECLAIM_RATE_BYTES_PER_S (UINT64_C(100) * MA_MIB)

static uint64_t ceil_muldiv(uint64_t value, uint64_t num, uint64_t den) {
    unsigned __int128 product = (unsigned __int128) value * num + (den - 1);
    unsigned __int128 result = product / den;

    return result > MA_BYTES_MAX ? MA_BYTES_MAX : (uint64_t) result;
}

/* What the guest would have to return so that it alone covers every short row that it can serve; 0: none. */
static uint64_t useful_bytes(const struct ma_options_context *context,
                             const struct ma_guest *guest) {
    const struct ma_plan *plan = context->plan;
    uint64_t most = 0;

    for (size_t d = 0; d < plan->n_rows; d++) {
        uint64_t demand = (uint64_t) context->demand_mib[d] * MA_MIB;
        uint64_t unit;

        if (context->demand_mib[d] <= 0) {
            continue;
        }
        unit = ma_need_share(guest, &plan->rows[d], MA_TIB);
        if (unit == MA_TIB) { /* all of it counts: the usual case, without a wide division */
            most = ma_max_u64(most, demand);
        } else if (unit > 0) {
            most = ma_max_u64(most, ceil_muldiv(demand, MA_TIB, unit));
        }
    }
    /* One MiB more than asked: rounding to whole MiB must not leave the row a MiB short. */
    return most == 0 ? 0 : most + MA_MIB;
}

static bool serves(const struct ma_options_context *context, const struct ma_amounts *frees) {
    for (size_t d = 0; d < context->plan->n_rows; d++) {
        if (context->demand_mib[d] > 0 && frees->mib[d] > 0) {
            return true;
        }
    }
    return false;
}

static bool returns_more(const struct ma_options_context *context,
                         const struct ma_amounts *frees,
                         const struct ma_option *than) {
    for (size_t d = 0; d < context->plan->n_rows; d++) {
        if (than == NULL ? frees->mib[d] > 0 : frees->mib[d] > than->frees.mib[d]) {
            return true;
        }
    }
    return false;
}

static struct ma_option *add_option(const struct ma_options_context *context,
                                    struct ma_step step,
                                    enum ma_rung rung,
                                    const struct ma_amounts *frees) {
    struct ma_option *option = ma_plan_add_option(context->plan);

    if (option != NULL) {
        option->steps[0] = step;
        option->n_steps = 1;
        option->rung = rung;
        ma_amounts_copy(&option->frees, frees, context->plan->n_rows);
    }
    return option;
}

/* One guest's building site. */
struct site {
    const struct ma_options_context *context;
    const struct ma_facts *facts;
    uint64_t useful; /* useful_bytes() */
    uint64_t from;   /* where its balloon stands, or is heading */
    uint64_t basis;  /* what of that is there, or will be */
};

static struct site open_site(const struct ma_options_context *context,
                             const struct ma_facts *facts) {
    uint64_t grown = facts->projected_bytes - facts->returnable_bytes;
    struct site site = {
        .context = context,
        .facts = facts,
        .useful = useful_bytes(context, facts->guest),
        .from = facts->in_flight_bytes > 0 ? facts->committed_bytes : facts->guest->actual_bytes,
    };

    if (grown > 0) {
        grown = ma_need_stopped(context->need, context->plan, facts->guest, grown);
    }
    site.basis = ma_min_u64(site.from, facts->returnable_bytes + grown);
    return site;
}

/* The balloon's target when it may go down to `lowest` and no more than what is useful is wanted back. */
static uint64_t bounded_target(const struct site *site, uint64_t lowest) {
    uint64_t to = ma_max_u64(lowest, ma_sub_floor0(site->basis, site->useful));

    /* Shrinking rounds up: an error then never hurts the guest. */
    return ma_min_u64(ma_round_up(to, MA_MIB), site->from);
}

static struct ma_option *add_balloon_to(const struct site *site,
                                        enum ma_rung rung,
                                        uint64_t to,
                                        const struct ma_option *before) {
    static const enum ma_reason reasons[MA_RUNG_COUNT] = {
        [MA_RUNG_BALLOON_FREE] = MA_REASON_IDLE_MEMORY,
        [MA_RUNG_BALLOON_CACHE] = MA_REASON_CACHE_MEMORY,
        [MA_RUNG_BALLOON_WORKING] = MA_REASON_TO_GUARANTEE,
    };
    const struct ma_options_context *context = site->context;
    struct ma_amounts frees;
    struct ma_option *option;

    ma_frees_of_balloon(context->plan, context->need, site->facts, to, &frees);
    if (!serves(context, &frees) || !returns_more(context, &frees, before)) {
        return NULL;
    }
    option = add_option(
        context, (struct ma_step){.action = MA_ACTION_BALLOON, .has_to = true, .to_bytes = to},
        rung, &frees);
    if (option != NULL) {
        option->reason = reasons[rung];
    }
    return option;
}

/* NULL: it returns no more than the one before, or nothing. */
static struct ma_option *add_balloon(const struct site *site,
                                     enum ma_rung rung,
                                     uint64_t lowest,
                                     const struct ma_option *before) {
    const struct ma_facts *facts = site->facts;
    uint64_t to = bounded_target(site, ma_max_u64(lowest, facts->balloon_floor_bytes));
    bool is_deeper =
        to < facts->guest->actual_bytes && (before == NULL || to < before->steps[0].to_bytes);

    return is_deeper && (site->context->rungs & MA_RUNG_BIT(rung)) != 0
               ? add_balloon_to(site, rung, to, before)
               : NULL;
}

/* Returns the deepest. */
static struct ma_option *add_balloons(const struct site *site) {
    const struct ma_facts *facts = site->facts;
    uint64_t free_target = ma_sub_floor0(facts->guest->actual_bytes, facts->free_bytes);
    struct ma_option *deepest = NULL;
    struct ma_option *option;

    if (facts->balloon_reason != MA_REASON_NONE ||
        facts->balloon_floor_bytes >= facts->guest->actual_bytes) {
        return NULL;
    }
    deepest = add_balloon(site, MA_RUNG_BALLOON_FREE, ma_max_u64(free_target, facts->working_bytes),
                          NULL);
    option = add_balloon(site, MA_RUNG_BALLOON_CACHE, facts->working_bytes, deepest);
    deepest = option != NULL ? option : deepest;
    option = add_balloon(site, MA_RUNG_BALLOON_WORKING, 0, deepest);
    return option != NULL ? option : deepest;
}

/* What its virtio-mem may go down to; what is plugged: nothing is to be had. */
static uint64_t resize_target(const struct site *site) {
    const struct ma_facts *facts = site->facts;
    const struct ma_virtio_mem *device = &facts->guest->virtio_mem;
    uint64_t plugged = device->plugged_bytes;
    uint64_t idle = ma_sub_floor0(facts->whole_bytes, facts->floor_bytes);
    uint64_t untouched =
        ma_sub_floor0(facts->whole_bytes,
                      ma_sub_floor0(facts->guest->resident_bytes, facts->guest->shared_bytes));
    uint64_t wanted = ma_round_up(ma_add_sat(site->useful, untouched), device->block_bytes);

    wanted = ma_min_u64(wanted, ma_round_down(ma_min_u64(idle, plugged), device->block_bytes));
    return ma_min_u64(ma_round_up(plugged - wanted, device->block_bytes), plugged);
}

static void add_resize(const struct site *site) {
    const struct ma_options_context *context = site->context;
    const struct ma_facts *facts = site->facts;
    uint64_t to = resize_target(site);
    struct ma_amounts frees;
    struct ma_option *option;

    if (to >= facts->guest->virtio_mem.plugged_bytes) {
        return;
    }
    ma_frees_of_resize(context->plan, context->need, facts, to, &frees);
    if (serves(context, &frees)) {
        option = add_option(
            context, (struct ma_step){.action = MA_ACTION_RESIZE, .has_to = true, .to_bytes = to},
            MA_RUNG_RESIZE, &frees);
        if (option != NULL) {
            option->reason = MA_REASON_UNPLUG;
        }
    }
}

/* What one reclaim of the guest would ask for if swap were endless. */
static uint64_t reclaim_wish(const struct ma_options_context *context,
                             const struct ma_facts *facts,
                             uint64_t permyriad) {
    uint64_t wish;
    uint64_t in_time;

    if (facts->reclaim_reason != MA_REASON_NONE) {
        return 0;
    }
    wish = ma_permyriad_of(facts->returnable_bytes, permyriad);
    in_time = ma_muldiv_sat(RECLAIM_RATE_BYTES_PER_S,
                            ma_sub_floor0(context->need->window_usec, MA_BALLOON_LAG_USEC),
                            MA_USEC_PER_SEC);
    return ma_min_u64(ma_min_u64(wish, in_time), useful_bytes(context, facts->guest));
}

/* A pause lets nearly all of a guest go out. Too small: a paused guest keeps memory that nobody uses; too large: its
 * resume takes longer. Guessed. */
#define PAUSED_RECLAIM_PERMYRIAD 9000U

static uint64_t reclaim_bytes(const struct ma_options_context *context,
                              const struct ma_facts *facts,
                              uint64_t permyriad) {
    uint64_t wish = context->swap_permyriad == 0 ? 0 : reclaim_wish(context, facts, permyriad);

    return ma_round_down(ma_permyriad_of(wish, context->swap_permyriad), MA_MIB);
}

void ma_options_share_swap(struct ma_options_context *context) {
    const struct ma_need *need = context->need;
    uint64_t room = 0;
    uint64_t wishes = 0;

    context->swap_permyriad = 0;
    if (need->swap < 0) {
        return;
    }
    room = (uint64_t) need->slack_mib[need->swap] * MA_MIB;
    for (size_t i = 0; i < context->snapshot->n_guests; i++) {
        /* The largest wish that any of its options may have. */
        wishes += reclaim_wish(context, &context->facts[i], PAUSED_RECLAIM_PERMYRIAD);
    }
    if (room > 0 && wishes > 0) {
        context->swap_permyriad =
            ma_min_u64(MA_PERMYRIAD_FULL, ma_muldiv_sat(room, MA_PERMYRIAD_FULL, wishes));
    }
}

static void add_amounts(struct ma_amounts *to, const struct ma_amounts *from, size_t n_rows) {
    for (size_t d = 0; d < n_rows; d++) {
        to->mib[d] = ma_add_sat_i64(to->mib[d], from->mib[d]);
    }
}

/* The option `first` with a reclaim of `bytes` behind it. */
static void add_with_reclaim(const struct ma_options_context *context,
                             const struct ma_facts *facts,
                             const struct ma_option *first,
                             uint64_t bytes) {
    struct ma_amounts reclaimed;
    struct ma_option *option;

    if (bytes == 0) {
        return;
    }
    option = ma_plan_add_option(context->plan);
    if (option == NULL) {
        return;
    }
    ma_frees_of_reclaim(context->plan, facts, bytes, &reclaimed);
    *option = *first;
    option->steps[1] =
        (struct ma_step){.action = MA_ACTION_RECLAIM, .has_to = true, .to_bytes = bytes};
    option->n_steps = 2;
    add_amounts(&option->frees, &reclaimed, context->plan->n_rows);
}

/* A reclaim, and one behind the deepest balloon: less is left to reclaim there. */
static void add_reclaims(const struct ma_options_context *context,
                         const struct ma_facts *facts,
                         const struct ma_option *deepest) {
    uint64_t reclaim = reclaim_bytes(context, facts, RECLAIM_PERMYRIAD);
    struct ma_amounts frees;
    struct ma_option *option;

    if (reclaim == 0) {
        return;
    }
    ma_frees_of_reclaim(context->plan, facts, reclaim, &frees);
    option = add_option(
        context, (struct ma_step){.action = MA_ACTION_RECLAIM, .has_to = true, .to_bytes = reclaim},
        MA_RUNG_RECLAIM, &frees);
    if (option != NULL) {
        option->reason = MA_REASON_COLD_PAGES;
    }
    if (deepest != NULL && option != NULL) {
        uint64_t left =
            ma_sub_floor0(facts->returnable_bytes, (uint64_t) deepest->frees.mib[0] * MA_MIB);

        add_with_reclaim(
            context, facts, deepest,
            ma_min_u64(reclaim, ma_round_down(ma_permyriad_of(left, RECLAIM_PERMYRIAD), MA_MIB)));
    }
}

void ma_options_add_gentle(const struct ma_options_context *context,
                           size_t guest,
                           uint64_t impact_total) {
    const struct ma_facts *facts = &context->facts[guest];
    struct ma_plan *plan = context->plan;
    size_t first = plan->n_options;
    struct site site = open_site(context, facts);
    struct ma_option *deepest;

    if (site.useful == 0) {
        return; /* whatever it gave would serve no row that is short */
    }
    deepest = add_balloons(&site);
    if (facts->resize_reason == MA_REASON_NONE &&
        (context->rungs & MA_RUNG_BIT(MA_RUNG_RESIZE)) != 0) {
        add_resize(&site);
    }
    if (context->swap_permyriad > 0 && (context->rungs & MA_RUNG_BIT(MA_RUNG_RECLAIM)) != 0) {
        add_reclaims(context, facts, deepest);
    }
    for (size_t k = first; k < plan->n_options; k++) {
        struct ma_option *option = &plan->options[k];

        option->impact = ma_impact_of_rung(impact_total, option->rung);
        if (option->n_steps == 2) {
            option->impact += ma_impact_of_rung(impact_total, MA_RUNG_RECLAIM);
        }
    }
}

enum ma_rung ma_rung_of_action(enum ma_action action) {
    if (action == MA_ACTION_PAUSE) {
        return MA_RUNG_PAUSE;
    }
    if (action == MA_ACTION_SAVE) {
        return MA_RUNG_SAVE;
    }
    return action == MA_ACTION_SHUTDOWN ? MA_RUNG_SHUTDOWN : MA_RUNG_KILL;
}

static void add_victim_option(const struct ma_options_context *context,
                              enum ma_action action,
                              const struct ma_amounts *frees,
                              uint64_t impact_total,
                              enum ma_reason reason) {
    enum ma_rung rung = ma_rung_of_action(action);
    struct ma_option *option;

    if (!serves(context, frees) || (context->rungs & MA_RUNG_BIT(rung)) == 0) {
        return;
    }
    option = add_option(context, (struct ma_step){.action = action}, rung, frees);
    if (option != NULL) {
        option->is_victim = true;
        option->reason = reason;
        option->impact = ma_impact_of_rung(impact_total, rung);
    }
}

static void add_pause_reclaim(const struct ma_options_context *context,
                              const struct ma_facts *facts,
                              const struct ma_amounts *stopped,
                              uint64_t impact_total) {
    uint64_t bytes = reclaim_bytes(context, facts, PAUSED_RECLAIM_PERMYRIAD);
    struct ma_option paused;

    if (bytes == 0) {
        return;
    }
    paused = (struct ma_option){
        .steps = {{.action = MA_ACTION_PAUSE}},
        .n_steps = 1,
        .rung = MA_RUNG_PAUSE,
        .frees = *stopped,
        .is_victim = true,
        .reason = MA_REASON_LEAST_IMPACT,
        .impact = ma_impact_of_rung(impact_total, MA_RUNG_PAUSE) +
                  ma_impact_of_rung(impact_total, MA_RUNG_RECLAIM),
    };
    add_with_reclaim(context, facts, &paused, bytes);
}

/* Without growth and swap there is nothing to stop and nowhere to page out to. */
static bool is_pause_of_use(const struct ma_options_context *context,
                            const struct ma_facts *facts) {
    return (facts->guest->growth_bytes_per_s > 0 || context->swap_permyriad > 0) &&
           ma_options_victim_is_possible(context, facts, MA_ACTION_PAUSE);
}

static void add_pauses(const struct ma_options_context *context,
                       const struct ma_facts *facts,
                       uint64_t impact_total,
                       enum ma_reason reason) {
    struct ma_amounts stopped;

    ma_frees_of_victim(context->plan, context->need, facts, MA_ACTION_PAUSE, &stopped);
    add_victim_option(context, MA_ACTION_PAUSE, &stopped, impact_total, reason);
    add_pause_reclaim(context, facts, &stopped, impact_total);
}

void ma_options_add_victim(const struct ma_options_context *context,
                           size_t guest,
                           uint64_t impact_total) {
    const struct ma_facts *facts = &context->facts[guest];
    enum ma_reason reason = facts->guest->config.impact_class == MA_IMPACT_FIRST
                                ? MA_REASON_FIRST
                                : MA_REASON_LEAST_IMPACT;
    bool has_deadline = context->plan->rows[context->plan->n_rows - 1].within_ms > 0;
    struct ma_amounts death; /* by whatever way, but for rows with a deadline */

    if (facts->victim_reason != MA_REASON_NONE) {
        return;
    }
    if (is_pause_of_use(context, facts)) {
        add_pauses(context, facts, impact_total, reason);
    }
    ma_frees_of_victim(context->plan, context->need, facts, MA_ACTION_KILL, &death);
    for (enum ma_action action = MA_ACTION_SAVE; action <= MA_ACTION_KILL; action++) {
        if (!ma_options_victim_is_possible(context, facts, action)) {
            continue;
        }
        if (has_deadline) {
            ma_frees_of_victim(context->plan, context->need, facts, action, &death);
        }
        add_victim_option(context, action, &death, impact_total, reason);
    }
}

void ma_options_add_joint(const struct ma_options_context *context,
                          const uint32_t *members,
                          size_t n_members,
                          uint64_t impact_total) {
    for (enum ma_action action = MA_ACTION_PAUSE; action <= MA_ACTION_KILL; action++) {
        struct ma_amounts sum = {{0}};
        bool is_possible = true;

        for (size_t k = 0; k < n_members && is_possible; k++) {
            const struct ma_facts *facts = &context->facts[members[k]];
            struct ma_amounts frees;

            is_possible = ma_options_victim_is_possible(context, facts, action);
            ma_frees_of_victim(context->plan, context->need, facts, action, &frees);
            add_amounts(&sum, &frees, context->plan->n_rows);
        }
        if (is_possible) {
            add_victim_option(context, action, &sum, impact_total, MA_REASON_GROUP);
        }
    }
}
