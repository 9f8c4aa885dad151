/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-figures.c - figures for screens that status and guests show besides: what is wanted, needed, under
 * pressure, and what a kill would return. Inside the read section, like control-render.c. */
#include <stdio.h>

#include "bytes.h"
#include "control-reply.h"
#include "facts.h"

static void render_working_set(struct ma_json *json, const struct ma_view *view, size_t index) {
    const struct ma_guest *guest = &view->snapshot.guests[index];
    const uint32_t both = MA_STATS_HAS_TOTAL | MA_STATS_HAS_AVAILABLE;
    if ((guest->stats.has & both) != both || (guest->has & MA_GUEST_HAS_MAX) == 0) {
        return;
    }
    uint64_t used =
        ma_sub_floor0(guest->stats.claimed_total_bytes, guest->stats.claimed_available_bytes);
    uint64_t margin = ma_facts_margin_bytes(&view->snapshot.settings, guest, used);
    ma_json_u64(json, "working_set_bytes", ma_min_u64(ma_add_sat(used, margin), guest->max_bytes));
}

/* As the plan counts it, where it has weighed a kill; else what is resident and not shared. */
static void render_kill(struct ma_json *json, const struct ma_view *view, size_t index) {
    const struct ma_guest *guest = &view->snapshot.guests[index];
    const struct ma_candidate *candidate = ma_control_candidate(&view->plan, index);
    int ram = ma_plan_row(&view->plan, MA_ROW_RAM, 0);
    for (uint32_t i = 0; candidate != NULL && ram >= 0 && i < candidate->n_options; i++) {
        const struct ma_option *option = &view->plan.options[candidate->first_option + i];
        if (option->n_steps == 1 && option->steps[0].action == MA_ACTION_KILL) {
            ma_json_i64(json, "kill_frees_bytes",
                        ma_max_i64(option->frees.mib[ram], 0) * (int64_t) MA_MIB);
            return;
        }
    }
    if ((guest->has & MA_GUEST_HAS_RESIDENT) != 0) {
        uint64_t shared = (guest->has & MA_GUEST_HAS_SHARED) != 0 ? guest->shared_bytes : 0;
        ma_json_u64(json, "kill_frees_bytes", ma_sub_floor0(guest->resident_bytes, shared));
    }
}

void ma_control_render_guest_figures(struct ma_json *json,
                                     const struct ma_view *view,
                                     size_t index) {
    const struct ma_guest *guest = &view->snapshot.guests[index];
    if ((guest->balloon.has & MA_BALLOON_HAS_TARGET) != 0) {
        ma_json_u64(json, "target_bytes", guest->balloon.target_bytes);
    }
    render_working_set(json, view, index);
    if ((guest->pressure.has & MA_PSI_HAS_SOME_AVG10) != 0) {
        ma_json_u64(json, "pressure_permyriad", guest->pressure.some_avg10_permyriad);
    }
    render_kill(json, view, index);
}

void ma_control_render_host_pressure(struct ma_json *json, const struct ma_view *view) {
    const struct ma_psi *pressure = &view->snapshot.host.pressure;
    if ((pressure->has & MA_PSI_HAS_SOME_AVG10) != 0) {
        ma_json_u64(json, "psi_some_permyriad", pressure->some_avg10_permyriad);
    }
    if ((pressure->has & MA_PSI_HAS_FULL_AVG10) != 0) {
        ma_json_u64(json, "psi_full_permyriad", pressure->full_avg10_permyriad);
    }
}
