/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-explain.c - everything that stands between one guest and a decision: its settings and where they come from,
 * every term of its score, every option weighed, what is planned for it, what the guard took out, what was taken from
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "control-reply.h"

static const char *origin(const struct ma_view_guest *guest, bool is_said, uint32_t bit) {
    if (!is_said) {
        return "default";
    }
    if (!guest->has_config_origin) {
        return "said";
    }
    return (guest->config_from_rules & bit) != 0 ? "rule" : "metadata";
}

struct setting_writer {
    struct ma_json *json;
    const struct ma_guest_config *config;
    const struct ma_view_guest *more;
};

static void write_setting(const struct setting_writer *writer,
                          const char *name,
                          uint32_t bit,
                          const char *value) {
    ma_json_object(writer->json, NULL);
    ma_json_string(writer->json, "name", name);
    ma_json_string(writer->json, "value", value);
    ma_json_string(writer->json, "from",
                   origin(writer->more, (writer->config->has & bit) != 0, bit));
    ma_json_end_object(writer->json);
}

/* standard: what holds where nothing is said. */
static void write_bytes(const struct setting_writer *writer,
                        const char *name,
                        uint32_t bit,
                        uint64_t bytes,
                        const char *standard) {
    char text[MA_FORMAT_MAX];
    bool is_said = (writer->config->has & bit) != 0;
    write_setting(writer, name, bit, is_said ? ma_format_bytes(text, bytes) : standard);
}

static void write_usec(const struct setting_writer *writer,
                       const char *name,
                       uint32_t bit,
                       uint64_t usec,
                       const char *standard) {
    char text[MA_FORMAT_MAX];
    bool is_said = (writer->config->has & bit) != 0;
    write_setting(writer, name, bit, is_said ? ma_format_usec(text, usec) : standard);
}

static void write_impact_and_shares(const struct setting_writer *writer) {
    const struct ma_guest_config *config = writer->config;
    bool has_impact = (config->has & MA_CONFIG_HAS_IMPACT) != 0;
    char text[24];
    (void) snprintf(text, sizeof(text), "%" PRIu32,
                    has_impact ? config->impact : MA_IMPACT_DEFAULT);
    if (has_impact && config->impact_class != MA_IMPACT_WEIGHT) {
        (void) snprintf(text, sizeof(text), "%s",
                        config->impact_class == MA_IMPACT_NEVER ? "never" : "first");
    }
    write_setting(writer, "impact", MA_CONFIG_HAS_IMPACT, text);
    bool has_shares = (config->has & MA_CONFIG_HAS_SHARES) != 0;
    (void) snprintf(text, sizeof(text), "%" PRIu32,
                    has_shares ? config->shares : MA_SHARES_DEFAULT);
    write_setting(writer, "shares", MA_CONFIG_HAS_SHARES, text);
}

static void write_actions(const struct setting_writer *writer) {
    bool is_said = (writer->config->has & MA_CONFIG_HAS_ACTIONS) != 0;
    uint32_t actions = is_said ? writer->config->actions : MA_ACTIONS_DEFAULT;
    char text[96] = "";
    size_t len = 0;
    for (unsigned i = 0; i < MA_ACTION_OPTION_COUNT; i++) {
        if ((actions & MA_ACTION_BIT(i)) != 0 && len < sizeof(text)) {
            int n = snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "",
                             ma_action_name((enum ma_action) i));
            len += n > 0 ? (size_t) n : 0;
        }
    }
    write_setting(writer, "actions", MA_CONFIG_HAS_ACTIONS, actions != 0 ? text : "none");
}

static void write_caps(const struct setting_writer *writer) {
    const struct ma_guest_config *config = writer->config;
    char text[32];
    write_bytes(writer, "pin-limit", MA_CONFIG_HAS_PIN_LIMIT, config->pin_limit_bytes, "none");
    write_bytes(writer, "cap-memory", MA_CONFIG_HAS_CAP_MEMORY, config->cap_memory_bytes, "none");
    write_bytes(writer, "cap-swap", MA_CONFIG_HAS_CAP_SWAP, config->cap_swap_bytes, "none");
    (void) snprintf(text, sizeof(text), "%" PRIu64, config->cap_pids);
    write_setting(writer, "cap-pids", MA_CONFIG_HAS_CAP_PIDS,
                  (config->has & MA_CONFIG_HAS_CAP_PIDS) != 0 ? text : "none");
    (void) snprintf(text, sizeof(text), "%" PRIu64 "%%", config->cap_cpu_permyriad / 100);
    write_setting(writer, "cap-cpu", MA_CONFIG_HAS_CAP_CPU,
                  (config->has & MA_CONFIG_HAS_CAP_CPU) != 0 ? text : "none");
}

static void render_settings(struct ma_json *json, const struct ma_view *view, size_t index) {
    const struct ma_guest *guest = &view->snapshot.guests[index];
    const struct ma_guest_config *config = &guest->config;
    const struct setting_writer writer = {json, config, &view->guests[index]};
    char half[MA_FORMAT_MAX], all[MA_FORMAT_MAX];
    bool has_max = (guest->has & MA_GUEST_HAS_MAX) != 0;
    uint64_t guarantee = ma_permyriad_of(guest->max_bytes, view->plan.settings.guarantee_permyriad);
    ma_json_array(json, "settings");
    write_impact_and_shares(&writer);
    write_bytes(&writer, "guarantee", MA_CONFIG_HAS_GUARANTEE, config->guarantee_bytes,
                has_max ? ma_format_bytes(half, guarantee) : "not known yet");
    write_bytes(&writer, "limit", MA_CONFIG_HAS_LIMIT, config->limit_bytes,
                has_max ? ma_format_bytes(all, guest->max_bytes) : "not known yet");
    write_caps(&writer);
    write_actions(&writer);
    write_setting(&writer, "group", MA_CONFIG_HAS_GROUP,
                  config->group != NULL ? config->group : "none");
    write_usec(&writer, "restart", MA_CONFIG_HAS_RESTART, config->restart_usec, "not said");
    write_usec(&writer, "shutdown-timeout", MA_CONFIG_HAS_SHUTDOWN_TIMEOUT,
               config->shutdown_timeout_usec, "ShutdownTimeout=");
    ma_json_end_array(json);
}

static void
render_amounts(struct ma_json *json, const struct ma_plan *plan, const struct ma_amounts *amounts) {
    char key[MA_ROW_KEY_MAX];
    ma_json_object(json, "frees");
    for (size_t i = 0; i < plan->n_rows; i++) {
        if (amounts->mib[i] != 0) {
            ma_json_i64(json, ma_row_key(key, &plan->rows[i]), amounts->mib[i] * (int64_t) MA_MIB);
        }
    }
    ma_json_end_object(json);
}

static void
render_option(struct ma_json *json, const struct ma_plan *plan, const struct ma_option *option) {
    ma_json_object(json, NULL);
    ma_json_array(json, "steps");
    for (unsigned i = 0; i < option->n_steps && i < MA_OPTION_STEPS_MAX; i++) {
        ma_json_object(json, NULL);
        ma_json_string(json, "action", ma_action_name(option->steps[i].action));
        if (option->steps[i].has_to) {
            ma_json_u64(json, "to_bytes", option->steps[i].to_bytes);
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
    render_amounts(json, plan, &option->frees);
    ma_json_u64(json, "impact", option->impact);
    ma_json_string(json, "reason", ma_reason_name(option->reason));
    ma_json_bool(json, "victim", option->is_victim);
    ma_json_bool(json, "chosen", option->is_chosen);
    ma_json_end_object(json);
}

static void render_candidate(struct ma_json *json,
                             const struct ma_plan *plan,
                             const struct ma_candidate *candidate) {
    ma_json_object(json, "candidate");
    ma_json_bool(json, "eligible", candidate->is_eligible);
    if (candidate->excluded_because != MA_REASON_NONE) {
        ma_json_string(json, "excluded_because", ma_reason_name(candidate->excluded_because));
    }
    if (candidate->has_impact) {
        ma_json_u64(json, "impact", candidate->impact.total);
        ma_json_object(json, "terms");
        for (unsigned i = 0; i < MA_TERM_COUNT; i++) {
            ma_json_i64(json, ma_impact_term_name((enum ma_impact_term) i),
                        candidate->impact.terms[i]);
        }
        ma_json_end_object(json);
    }
    ma_json_array(json, "options");
    for (uint32_t i = 0; i < candidate->n_options && candidate->first_option + i < plan->n_options;
         i++) {
        render_option(json, plan, &plan->options[candidate->first_option + i]);
    }
    ma_json_end_array(json);
    ma_json_end_object(json);
}

static bool may_be_victim(const struct ma_candidate *candidate) {
    return candidate->is_eligible && candidate->excluded_because == MA_REASON_NONE &&
           candidate->has_impact;
}

/* rank: 1 = the loss of no other guest costs less. */
static void render_candidacy(struct ma_json *json, const struct ma_plan *plan, size_t index) {
    const struct ma_candidate *own = ma_control_candidate(plan, index);
    uint64_t rank = 1, eligible = 0;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct ma_candidate *other = &plan->candidates[i];
        if (may_be_victim(other)) {
            eligible++;
            rank += own != NULL && other->impact.total < own->impact.total;
        }
    }
    if (own != NULL) {
        render_candidate(json, plan, own);
    }
    if (own != NULL && may_be_victim(own)) {
        ma_json_u64(json, "rank", rank);
    }
    ma_json_u64(json, "eligible_guests", eligible);
}

static void render_actions(struct ma_json *json, const struct ma_plan *plan, size_t index) {
    ma_json_array(json, "actions");
    for (size_t i = 0; i < plan->n_actions; i++) {
        const struct ma_plan_action *action = &plan->actions[i];
        if (!action->has_guest || action->guest != index) {
            continue;
        }
        ma_json_object(json, NULL);
        ma_json_string(json, "action", ma_action_name(action->action));
        if (action->has_from_to) {
            ma_json_u64(json, "from_bytes", action->from_bytes);
            ma_json_u64(json, "to_bytes", action->to_bytes);
        }
        if (action->has_frees) {
            render_amounts(json, plan, &action->frees);
        }
        ma_json_u64(json, "impact", action->impact);
        ma_json_string(json, "reason", ma_reason_name(action->reason));
        ma_json_bool(json, "armed", action->is_armed);
        if (!action->is_armed) {
            ma_json_string(json, "withheld_because", ma_reason_name(action->withheld_because));
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void render_trims(struct ma_json *json, const struct ma_plan *plan, size_t index) {
    ma_json_array(json, "trims");
    for (size_t i = 0; i < plan->n_trims; i++) {
        const struct ma_trim *trim = &plan->trims[i];
        if (!trim->has_guest || trim->guest != index) {
            continue;
        }
        ma_json_object(json, NULL);
        ma_json_string(json, "action", ma_action_name(trim->action));
        ma_json_string(json, "reason", ma_reason_name(trim->reason));
        ma_json_u64(json, "proposed_bytes", trim->proposed_bytes);
        ma_json_u64(json, "granted_bytes", trim->granted_bytes);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

static void render_ledger(struct ma_json *json, const struct ma_view_guest *guest) {
    ma_json_object(json, "taken");
    if ((guest->taken & MA_TAKEN_BALLOON) != 0) {
        ma_json_u64(json, "balloon_before_bytes", guest->balloon_before_bytes);
        ma_json_u64(json, "balloon_ours_bytes", guest->balloon_ours_bytes);
    }
    if ((guest->taken & MA_TAKEN_PAUSE) != 0) {
        ma_json_u64(json, "paused_for_usec",
                    ma_sub_floor0(ma_control_now_usec(), guest->paused_since_usec));
    }
    ma_json_end_object(json);
}

int ma_control_render_explain(struct ma_json *json,
                              const struct ma_view *view,
                              struct ma_control_request *request) {
    int r = ma_control_find_guest(view, request);
    if (r != 0) {
        return r;
    }
    const struct ma_plan *plan = &view->plan;
    ma_control_render_guest(json, "guest", view, request->index);
    ma_json_string(json, "pressure", ma_pressure_name(plan->pressure));
    ma_json_string(json, "policy", plan->policy != NULL ? plan->policy : plan->settings.policy);
    ma_json_string(json, "arm", ma_arm_name(view->arm));
    render_settings(json, view, request->index);
    render_ledger(json, &view->guests[request->index]);
    ma_control_render_limits(json, &view->guests[request->index]);
    render_candidacy(json, plan, request->index);
    render_actions(json, plan, request->index);
    render_trims(json, plan, request->index);
    return 0;
}
