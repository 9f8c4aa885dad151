/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-plan.c - a plan in the contract's format (urn:memarb:plan:1), beside the snapshot that it was made on.
 * Amounts leave in bytes: whole MiB x 2^20, rows with nothing left out. */
#include "bytes.h"
#include "fields.h"
#include "json-write.h"
#include "plan.h"

#define FORMAT_VERSION 1U

static void write_amounts(struct ma_json *json,
                          const char *key,
                          const struct ma_plan *plan,
                          const struct ma_amounts *amounts) {
    char row[MA_ROW_KEY_MAX];
    ma_json_object(json, key);
    for (size_t i = 0; i < plan->n_rows; i++) {
        if (amounts->mib[i] != 0) {
            ma_json_i64(json, ma_row_key(row, &plan->rows[i]), amounts->mib[i] * (int64_t) MA_MIB);
        }
    }
    ma_json_end_object(json);
}

static void write_measured(struct ma_json *json, const struct ma_plan *plan) {
    char row[MA_ROW_KEY_MAX];
    ma_json_object(json, "measured_deficits");
    for (size_t i = 0; i < plan->n_rows; i++) {
        if (plan->measured_deficit_bytes[i] != 0) {
            ma_json_u64(json, ma_row_key(row, &plan->rows[i]), plan->measured_deficit_bytes[i]);
        }
    }
    ma_json_end_object(json);
}

static void write_states(struct ma_json *json, const struct ma_plan *plan) {
    char row[MA_ROW_KEY_MAX];
    ma_json_object(json, "states");
    for (size_t i = 0; i < plan->n_rows; i++) {
        ma_json_string(json, ma_row_key(row, &plan->rows[i]),
                       ma_pressure_name(plan->row_pressure[i]));
    }
    ma_json_end_object(json);
}

static void write_guest(struct ma_json *json, const struct ma_guest *guest) {
    ma_json_string(json, "guest", guest->uuid);
    ma_json_string(json, "name", guest->name);
}

static void write_group(struct ma_json *json, const struct ma_guest *guest) {
    if ((guest->config.has & MA_CONFIG_HAS_GROUP) != 0) {
        ma_json_string(json, "group", guest->config.group);
    }
}

static void write_action(struct ma_json *json,
                         const struct ma_plan *plan,
                         const struct ma_snapshot *snapshot,
                         const struct ma_plan_action *action) {
    const struct ma_guest *guest = action->has_guest ? &snapshot->guests[action->guest] : NULL;
    ma_json_object(json, NULL);
    if (guest != NULL) {
        write_guest(json, guest);
    }
    ma_json_string(json, "action", ma_action_name(action->action));
    if (action->has_from_to) {
        ma_json_u64(json, "from_bytes", action->from_bytes);
        ma_json_u64(json, "to_bytes", action->to_bytes);
    }
    if (action->has_frees) {
        write_amounts(json, "frees", plan, &action->frees);
    }
    ma_json_u64(json, "impact", action->impact);
    ma_json_string(json, "reason", ma_reason_name(action->reason));
    if (action->deadline_usec > 0) {
        ma_json_u64(json, "deadline_usec", action->deadline_usec);
    }
    if (guest != NULL) {
        write_group(json, guest);
    }
    ma_json_bool(json, "armed", action->is_armed);
    ma_json_end_object(json);
}

static void
write_option(struct ma_json *json, const struct ma_plan *plan, const struct ma_option *option) {
    ma_json_object(json, NULL);
    ma_json_array(json, "steps");
    for (unsigned i = 0; i < option->n_steps; i++) {
        ma_json_object(json, NULL);
        ma_json_string(json, "action", ma_action_name(option->steps[i].action));
        if (option->steps[i].has_to) {
            ma_json_u64(json, "to_bytes", option->steps[i].to_bytes);
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
    write_amounts(json, "frees", plan, &option->frees);
    ma_json_u64(json, "impact", option->impact);
    ma_json_bool(json, "victim", option->is_victim);
    ma_json_bool(json, "chosen", option->is_chosen);
    ma_json_end_object(json);
}

static void write_impact(struct ma_json *json, const struct ma_impact *impact) {
    ma_json_u64(json, "impact", impact->total);
    ma_json_object(json, "terms");
    for (unsigned i = 0; i < MA_TERM_COUNT; i++) {
        ma_json_i64(json, ma_names_at(&ma_names_impact_term, i), impact->terms[i]);
    }
    ma_json_end_object(json);
}

static void write_candidate(struct ma_json *json,
                            const struct ma_plan *plan,
                            const struct ma_snapshot *snapshot,
                            const struct ma_candidate *candidate) {
    const struct ma_guest *guest = &snapshot->guests[candidate->guest];
    ma_json_object(json, NULL);
    write_guest(json, guest);
    ma_json_bool(json, "eligible", candidate->is_eligible);
    if (candidate->excluded_because != MA_REASON_NONE) {
        ma_json_string(json, "excluded_because", ma_reason_name(candidate->excluded_because));
    }
    if (candidate->has_impact) {
        write_impact(json, &candidate->impact);
    }
    ma_json_array(json, "options");
    for (uint32_t i = 0; i < candidate->n_options; i++) {
        write_option(json, plan, &plan->options[candidate->first_option + i]);
    }
    ma_json_end_array(json);
    write_group(json, guest);
    ma_json_end_object(json);
}

static void write_certificate(struct ma_json *json, const struct ma_certificate *certificate) {
    ma_json_object(json, "certificate");
    ma_json_u64(json, "total_impact", certificate->total_impact);
    ma_json_u64(json, "lower_bound_impact", certificate->lower_bound_impact);
    ma_json_bool(json, "optimal", certificate->is_optimal);
    ma_json_u64(json, "nodes", certificate->nodes);
    ma_json_u64(json, "victims", certificate->victims);
    ma_json_end_object(json);
}

static void write_settings(struct ma_json *json, const struct ma_settings *settings) {
    ma_json_object(json, "settings");
    ma_json_fields(json, &ma_fields_settings_plan, settings);
    ma_json_end_object(json);
}

void ma_json_plan(struct ma_json *json,
                  const char *key,
                  const struct ma_plan *plan,
                  const struct ma_snapshot *snapshot) {
    ma_json_object(json, key);
    ma_json_u64(json, "version", FORMAT_VERSION);
    ma_json_string(json, "policy", plan->policy != NULL ? plan->policy : "");
    ma_json_string(json, "state", ma_pressure_name(plan->pressure));
    write_states(json, plan);
    write_amounts(json, "deficits", plan, &plan->deficits);
    write_measured(json, plan);
    write_amounts(json, "uncovered", plan, &plan->uncovered);
    write_amounts(json, "uncovered_without_victims", plan, &plan->uncovered_without_victims);
    ma_json_array(json, "actions");
    for (size_t i = 0; i < plan->n_actions; i++) {
        write_action(json, plan, snapshot, &plan->actions[i]);
    }
    ma_json_end_array(json);
    ma_json_array(json, "candidates");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        write_candidate(json, plan, snapshot, &plan->candidates[i]);
    }
    ma_json_end_array(json);
    if (plan->has_certificate) {
        write_certificate(json, &plan->certificate);
    }
    write_settings(json, &plan->settings);
    ma_json_end_object(json);
}

/* What is in the plan and is not taken, and why not: the plan's own format has no word for that. */
static void write_withheld(struct ma_json *json,
                           const struct ma_plan *plan,
                           const struct ma_snapshot *snapshot) {
    for (size_t i = 0; i < plan->n_actions; i++) {
        const struct ma_plan_action *action = &plan->actions[i];
        if (action->is_armed || action->withheld_because == MA_REASON_NONE) {
            continue;
        }
        ma_json_object(json, NULL);
        if (action->has_guest) {
            write_guest(json, &snapshot->guests[action->guest]);
        }
        ma_json_string(json, "action", ma_action_name(action->action));
        ma_json_string(json, "reason", ma_reason_name(action->withheld_because));
        ma_json_bool(json, "withheld", true);
        ma_json_end_object(json);
    }
}

void ma_json_trims(struct ma_json *json,
                   const char *key,
                   const struct ma_plan *plan,
                   const struct ma_snapshot *snapshot) {
    ma_json_array(json, key);
    for (size_t i = 0; i < plan->n_trims; i++) {
        const struct ma_trim *trim = &plan->trims[i];
        ma_json_object(json, NULL);
        if (trim->has_guest) {
            write_guest(json, &snapshot->guests[trim->guest]);
        }
        ma_json_string(json, "action", ma_action_name(trim->action));
        ma_json_string(json, "reason", ma_reason_name(trim->reason));
        if (trim->proposed_bytes != 0 || trim->granted_bytes != 0) {
            ma_json_u64(json, "proposed_bytes", trim->proposed_bytes);
            ma_json_u64(json, "granted_bytes", trim->granted_bytes);
        }
        ma_json_end_object(json);
    }
    write_withheld(json, plan, snapshot);
    ma_json_end_array(json);
}
