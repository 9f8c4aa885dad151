/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-render.c - status, list of guests, plan and snapshot as JSON. Runs inside the read section: no allocation,
 * no wait. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "control-reply.h"

static uint64_t age_usec(uint64_t since_usec) {
    return ma_sub_floor0(ma_control_now_usec(), since_usec);
}

static int64_t mib_to_bytes(int64_t mib) {
    return mib * (int64_t) MA_MIB;
}

static void render_resources(struct ma_json *json, const struct ma_view *view) {
    const struct ma_plan *plan = &view->plan;
    char key[MA_ROW_KEY_MAX];
    ma_json_array(json, "resources");
    for (size_t i = 0; i < plan->n_rows; i++) {
        ma_json_object(json, NULL);
        ma_json_string(json, "resource", ma_row_key(key, &plan->rows[i]));
        ma_json_string(json, "pressure", ma_pressure_name(plan->row_pressure[i]));
        ma_json_i64(json, "deficit_bytes", mib_to_bytes(ma_max_i64(plan->deficits.mib[i], 0)));
        ma_json_i64(json, "uncovered_bytes", mib_to_bytes(ma_max_i64(plan->uncovered.mib[i], 0)));
        if (view->time_left_usec[i] != MA_USEC_INFINITY) {
            ma_json_u64(json, "time_left_usec", view->time_left_usec[i]);
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void render_nodes(struct ma_json *json, const struct ma_host *host) {
    if (host->n_nodes == 0) {
        return;
    }
    ma_json_array(json, "nodes");
    for (size_t i = 0; i < host->n_nodes; i++) {
        const struct ma_node *node = &host->nodes[i];
        ma_json_object(json, NULL);
        ma_json_u64(json, "id", node->id);
        ma_json_u64(json, "total_bytes", node->total_bytes);
        ma_json_u64(json, "available_bytes", node->available_bytes);
        if ((node->has & MA_NODE_HAS_HUGEPAGES) != 0) {
            ma_json_u64(json, "hugepage_total_bytes", node->hugepage_total_bytes);
            ma_json_u64(json, "hugepage_free_bytes", node->hugepage_free_bytes);
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void render_host(struct ma_json *json, const struct ma_view *view) {
    const struct ma_host *host = &view->snapshot.host;
    ma_json_string(json, "host_meaning", view->host_meaning);
    ma_json_string(json, "cgroup_layout", view->cgroup_layout);
    ma_json_u64(json, "total_bytes", host->total_bytes);
    ma_json_u64(json, "available_bytes", host->available_bytes);
    if ((host->has & MA_HOST_HAS_SLOPE) != 0) {
        ma_json_i64(json, "slope_bytes_per_s", host->slope_bytes_per_s);
    }
    if ((host->has & MA_HOST_HAS_SWAP) != 0) {
        ma_json_u64(json, "swap_total_bytes", host->swap_total_bytes);
        ma_json_u64(json, "swap_free_bytes", host->swap_free_bytes);
    }
    if ((host->has & MA_HOST_HAS_COMMITTED) != 0) {
        ma_json_u64(json, "committed_as_bytes", host->committed_bytes);
    }
    if ((host->has & MA_HOST_HAS_COMMIT_LIMIT) != 0) {
        ma_json_u64(json, "commit_limit_bytes", host->commit_limit_bytes);
    }
    render_nodes(json, host);
}

static void render_admission(struct ma_json *json, const struct ma_view *view) {
    const struct ma_commitments *sum = &view->commitments;
    ma_json_object(json, "admission");
    ma_json_string(json, "mode", ma_admit_mode_name(view->admission_mode));
    ma_json_u64(json, "guests_bytes", sum->guests_bytes);
    ma_json_u64(json, "capacity_bytes", sum->capacity_bytes);
    ma_json_u64(json, "pinned_bytes", sum->pinned_bytes);
    ma_json_u64(json, "on_their_way", view->n_reservations);
    ma_json_u64(json, "held_bytes", view->held_bytes);
    ma_json_end_object(json);
}

static void render_settings(struct ma_json *json, const struct ma_view *view) {
    const struct ma_settings *settings = &view->plan.settings;
    ma_json_u64(json, "reserve_bytes", settings->reserve_bytes);
    ma_json_u64(json, "soft_watermark_bytes", settings->soft_watermark_bytes);
    ma_json_u64(json, "hard_watermark_bytes", settings->hard_watermark_bytes);
    ma_json_u64(json, "critical_watermark_bytes", settings->critical_watermark_bytes);
    ma_json_string(json, "policy",
                   view->plan.policy != NULL ? view->plan.policy : settings->policy);
    ma_json_string(json, "arm", ma_arm_name(view->arm));
    ma_json_bool(json, "arm_override", view->is_arm_override);
    ma_json_bool(json, "dry_run", view->is_dry_run);
}

static void render_incident(struct ma_json *json, const struct ma_view *view) {
    ma_json_array(json, "disarmed");
    for (unsigned i = 0; i < MA_ACTION_OPTION_COUNT; i++) {
        if ((view->disarmed_actions & MA_ACTION_BIT(i)) != 0) {
            ma_json_string(json, NULL, ma_action_name((enum ma_action) i));
        }
    }
    ma_json_end_array(json);
    ma_json_bool(json, "in_incident", view->in_incident);
    if (view->in_incident) {
        ma_json_u64(json, "incident_age_usec", age_usec(view->incident_since_usec));
    }
    ma_json_u64(json, "victims_in_incident", view->victims_in_incident);
    ma_json_u64(json, "quiet_left_usec",
                ma_sub_floor0(view->quiet_until_usec, ma_control_now_usec()));
}

static void render_pending(struct ma_json *json, const struct ma_pending_victim *pending) {
    if (!pending->is_pending) {
        return;
    }
    ma_json_object(json, "pending");
    ma_json_string(json, "action", ma_action_name(pending->action));
    ma_json_array(json, "guests");
    for (uint32_t i = 0; i < pending->n_guests && i < MA_GROUP_MEMBERS_MAX; i++) {
        ma_json_string(json, NULL, pending->uuid[i]);
    }
    ma_json_end_array(json);
    ma_json_u64(json, "predicted_bytes", pending->predicted_bytes);
    ma_json_u64(json, "age_usec", age_usec(pending->taken_usec));
    ma_json_u64(json, "deadline_left_usec",
                ma_sub_floor0(pending->deadline_usec, ma_control_now_usec()));
    ma_json_end_object(json);
}

static void render_counts(struct ma_json *json, const struct ma_view *view) {
    uint64_t ballooned = 0, balloon_bytes = 0, paused = 0, held = 0, stuck = 0, problems = 0,
             armed = 0;
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        const struct ma_view_guest *guest = &view->guests[i];
        if ((guest->taken & MA_TAKEN_BALLOON) != 0) {
            ballooned++;
            balloon_bytes += ma_sub_floor0(guest->balloon_before_bytes, guest->balloon_ours_bytes);
        }
        paused += (guest->taken & MA_TAKEN_PAUSE) != 0;
        held += view->snapshot.guests[i].is_held;
        stuck += guest->is_stuck;
        problems += guest->problem != NULL;
    }
    for (size_t i = 0; i < view->plan.n_actions; i++) {
        armed += view->plan.actions[i].is_armed;
    }
    ma_json_u64(json, "guests", view->snapshot.n_guests);
    ma_json_u64(json, "ballooned", ballooned);
    ma_json_u64(json, "balloon_taken_bytes", balloon_bytes);
    ma_json_u64(json, "paused", paused);
    ma_json_u64(json, "held", held);
    ma_json_u64(json, "stuck", stuck);
    ma_json_u64(json, "problems", problems);
    ma_json_u64(json, "planned", view->plan.n_actions);
    ma_json_u64(json, "planned_armed", armed);
    ma_json_u64(json, "kernel_kills", view->kernel_kills);
}

int ma_control_render_status(struct ma_json *json,
                             const struct ma_view *view,
                             struct ma_control_request *request) {
    (void) request;
    const char *connected = view->is_libvirt_connected ? "connected" : "lost";
    ma_json_object(json, "status");
    ma_json_string(json, "version", MEMARB_VERSION);
    ma_json_u64(json, "seq", view->seq);
    ma_json_u64(json, "age_usec", age_usec(view->published_usec));
    ma_json_u64(json, "realtime_usec", view->published_realtime_usec);
    ma_json_u64(json, "uptime_usec", age_usec(view->started_usec));
    render_host(json, view);
    ma_control_render_host_pressure(json, view);
    ma_json_string(json, "pressure", ma_pressure_name(view->plan.pressure));
    render_resources(json, view);
    render_settings(json, view);
    render_incident(json, view);
    render_pending(json, &view->pending);
    ma_json_string(json, "libvirt", view->is_libvirt_wanted ? connected : "off");
    ma_json_u64(json, "qmp_peers", view->n_qmp_peers);
    ma_json_u64(json, "psi_window_usec", view->psi_window_usec);
    ma_json_u64(json, "tick_usec", view->tick_usec);
    render_counts(json, view);
    render_admission(json, view);
    ma_control_render_host_pins(json, view);
    ma_json_end_object(json);
    return 0;
}

static void render_impact(struct ma_json *json, const struct ma_guest_config *config) {
    char weight[16];
    uint32_t impact =
        (config->has & MA_CONFIG_HAS_IMPACT) != 0 ? config->impact : MA_IMPACT_DEFAULT;
    (void) snprintf(weight, sizeof(weight), "%u", impact);
    bool is_class =
        (config->has & MA_CONFIG_HAS_IMPACT) != 0 && config->impact_class != MA_IMPACT_WEIGHT;
    const char *name = config->impact_class == MA_IMPACT_NEVER ? "never" : "first";
    ma_json_string(json, "impact", is_class ? name : weight);
}

static void render_amounts(struct ma_json *json, const struct ma_guest *guest) {
    const struct {
        const char *key;
        uint32_t has;
        uint64_t bytes;
    } amounts[] = {
        {"max_bytes", MA_GUEST_HAS_MAX, guest->max_bytes},
        {"actual_bytes", MA_GUEST_HAS_ACTUAL, guest->actual_bytes},
        {"resident_bytes", MA_GUEST_HAS_RESIDENT, guest->resident_bytes},
        {"swap_bytes", MA_GUEST_HAS_SWAP, guest->swap_bytes},
        {"pinned_bytes", MA_GUEST_HAS_PINNED, guest->pinned_bytes},
    };
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        if ((guest->has & amounts[i].has) != 0) {
            ma_json_u64(json, amounts[i].key, amounts[i].bytes);
        }
    }
    if ((guest->has & MA_GUEST_HAS_GROWTH) != 0) {
        ma_json_i64(json, "growth_bytes_per_s", guest->growth_bytes_per_s);
    }
}

static void render_placement(struct ma_json *json, const struct ma_guest *guest) {
    if ((guest->has & MA_GUEST_HAS_PLACEMENT) != 0) {
        ma_json_string(json, "placement", ma_placement_name(guest->placement));
    }
    if (guest->n_nodes == 0) {
        return;
    }
    ma_json_array(json, "nodes");
    for (size_t i = 0; i < guest->n_nodes; i++) {
        ma_json_object(json, NULL);
        ma_json_u64(json, "id", guest->nodes[i].id);
        ma_json_u64(json, "resident_bytes", guest->nodes[i].resident_bytes);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void render_balloon(struct ma_json *json, const struct ma_balloon *balloon) {
    if ((balloon->has & MA_BALLOON_HAS_STATE) != 0) {
        ma_json_string(json, "balloon", ma_balloon_state_name(balloon->state));
    }
    ma_json_array(json, "inhibited_by");
    for (unsigned i = 0; i < MA_INHIBITOR_COUNT; i++) {
        if ((balloon->has & MA_BALLOON_HAS_INHIBITED_BY) != 0 &&
            (balloon->inhibited_by >> i & 1U) != 0) {
            ma_json_string(json, NULL, ma_inhibitor_name(i));
        }
    }
    ma_json_end_array(json);
}

const struct ma_candidate *ma_control_candidate(const struct ma_plan *plan, size_t index) {
    /* Policies list candidates in the snapshot's order as a rule: then the first look finds it. */
    if (index < plan->n_candidates && plan->candidates[index].guest == index) {
        return &plan->candidates[index];
    }
    for (size_t i = 0; i < plan->n_candidates; i++) {
        if (plan->candidates[i].guest == index) {
            return &plan->candidates[i];
        }
    }
    return NULL;
}

static void render_candidacy(struct ma_json *json, const struct ma_view *view, size_t index) {
    const struct ma_candidate *candidate = ma_control_candidate(&view->plan, index);
    if (candidate == NULL) {
        return;
    }
    if (candidate->has_impact) {
        ma_json_u64(json, "impact_score", candidate->impact.total);
    }
    ma_json_bool(json, "eligible", candidate->is_eligible);
    if (candidate->excluded_because != MA_REASON_NONE) {
        ma_json_string(json, "excluded_because", ma_reason_name(candidate->excluded_because));
    }
}

static void render_taken(struct ma_json *json, uint32_t taken) {
    static const char *const names[] = {"balloon", "pause", "resize"}; /* bits of enum ma_taken */
    ma_json_array(json, "taken");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((taken >> i & 1U) != 0) {
            ma_json_string(json, NULL, names[i]);
        }
    }
    ma_json_end_array(json);
}

static void
render_agent(struct ma_json *json, const struct ma_guest *guest, const struct ma_view_guest *more) {
    static const char *const names[MA_AGENT_STATE_COUNT] = {"none", "fresh", "stale", "quarantined",
                                                            "disagrees"};
    uint64_t now = ma_control_now_usec();
    bool is_heard = more->agent == MA_AGENT_FRESH || more->agent == MA_AGENT_DISAGREES;
    ma_json_string(json, "agent", names[more->agent]);
    if (is_heard && (guest->pressure.has & MA_PSI_HAS_SOME_AVG10) != 0) {
        ma_json_u64(json, "agent_stall_permyriad", guest->pressure.some_avg10_permyriad);
    }
    ma_json_string(json, "agent_says", more->agent == MA_AGENT_DISAGREES ? more->agent_says : NULL);
    if (more->veto_until_usec > now) {
        ma_json_u64(json, "veto_left_usec", more->veto_until_usec - now);
    }
}

/* Asked for, and its group is none that memarb may limit. */
static bool is_cap_missing(const struct ma_view_guest *more) {
    for (size_t i = 0; i < more->n_limits; i++) {
        if (more->limits[i].note == MA_LIMIT_NOTE_NO_OWNER) {
            return true;
        }
    }
    return false;
}

void ma_control_render_guest(struct ma_json *json,
                             const char *key,
                             const struct ma_view *view,
                             size_t index) {
    const struct ma_guest *guest = &view->snapshot.guests[index];
    const struct ma_view_guest *more = &view->guests[index];
    ma_json_object(json, key);
    ma_json_string(json, "uuid", guest->uuid);
    ma_json_string(json, "name", guest->name);
    ma_json_string(json, "state", ma_guest_state_name(guest->state));
    if (more->pid > 0) {
        ma_json_u64(json, "pid", (uint64_t) more->pid);
    }
    ma_json_array(json, "sources");
    ma_json_string(json, NULL, more->is_on_libvirt ? "libvirt" : NULL);
    ma_json_string(json, NULL, more->is_on_qmp ? "qmp" : NULL);
    ma_json_end_array(json);
    render_impact(json, &guest->config);
    render_candidacy(json, view, index);
    render_amounts(json, guest);
    ma_control_render_guest_pins(json, more);
    render_placement(json, guest);
    ma_control_render_guest_figures(json, view, index);
    render_balloon(json, &guest->balloon);
    ma_json_string(json, "cooperation", ma_cooperation_name(more->cooperation));
    render_taken(json, more->taken);
    if (more->held_until_usec > 0) {
        ma_json_u64(json, "held_left_usec",
                    ma_sub_floor0(more->held_until_usec, ma_control_now_usec()));
    }
    render_agent(json, guest, more);
    ma_json_bool(json, "stuck", more->is_stuck);
    ma_json_string(json, "cgroup", more->cgroup);
    if (is_cap_missing(more)) {
        ma_json_bool(json, "cap_missing", true);
    }
    ma_json_string(json, "problem", more->problem);
    ma_json_end_object(json);
}

int ma_control_render_guests(struct ma_json *json,
                             const struct ma_view *view,
                             struct ma_control_request *request) {
    (void) request;
    ma_json_array(json, "guests");
    for (size_t i = 0; i < view->snapshot.n_guests && !json->is_truncated; i++) {
        ma_control_render_guest(json, NULL, view, i);
    }
    ma_json_end_array(json);
    return 0;
}

int ma_control_render_plan(struct ma_json *json,
                           const struct ma_view *view,
                           struct ma_control_request *request) {
    (void) request;
    ma_json_plan(json, "plan", &view->plan, &view->snapshot);
    ma_json_trims(json, "trims", &view->plan, &view->snapshot);
    return 0;
}

int ma_control_render_snapshot(struct ma_json *json,
                               const struct ma_view *view,
                               struct ma_control_request *request) {
    (void) request;
    ma_json_snapshot(json, "snapshot", &view->snapshot);
    return 0;
}
