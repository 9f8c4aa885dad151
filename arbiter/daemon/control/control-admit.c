/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-admit.c - Admit, Forget and Readmit: a demand out of a call, a verdict into its answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admission-text.h"
#include "bytes.h"
#include "control-turn.h"

static const char bad_demand[] =
    "uuid, name, operation (start, restore, migrate) and amounts in bytes";

static int take_u64(const json_t *object, const char *name, uint64_t *ret) {
    const json_t *value = json_object_get(object, name);
    json_int_t number = json_integer_value(value);
    if (value == NULL) {
        return -ENOENT;
    }
    if (!json_is_integer(value) || number < 0 || (uint64_t) number > MA_BYTES_MAX) {
        return -EINVAL;
    }
    *ret = (uint64_t) number;
    return 0;
}

static int take_text(const json_t *object, const char *name, char *ret, size_t size) {
    const json_t *value = json_object_get(object, name);
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len >= size ||
        strlen(json_string_value(value)) != len) {
        return -EINVAL;
    }
    memcpy(ret, json_string_value(value), len + 1);
    return 0;
}

static int take_parts(const json_t *parts, struct ma_demand *demand) {
    size_t i;
    const json_t *entry;
    json_array_foreach(parts, i, entry) {
        struct ma_demand_part part = {.bytes = 0};
        json_int_t mask = json_integer_value(json_object_get(entry, "node_mask"));
        if (i >= MA_DEMAND_PARTS_MAX || take_u64(entry, "bytes", &part.bytes) < 0 ||
            take_u64(entry, "page_bytes", &part.page_bytes) == -EINVAL || mask < 0) {
            return -EINVAL;
        }
        part.node_mask = (uint64_t) mask;
        ma_demand_add(demand, &part);
    }
    return demand->n_parts > 0 ? 0 : -EINVAL;
}

static int take_amounts(const json_t *object, struct ma_demand *demand) {
    const struct {
        const char *name;
        uint64_t *bytes;
        bool *is_said;
    } amounts[] = {
        {"guarantee_bytes", &demand->guarantee_bytes, &demand->has_guarantee},
        {"pin_limit_bytes", &demand->pin_limit_bytes, &demand->has_pin_limit},
        {"current_bytes", &demand->current_bytes, NULL},
        {"pinned_bytes", &demand->pinned_bytes, NULL},
        {"pin_account_bytes", &demand->pin_account_bytes, NULL},
        {"memlock_bytes", &demand->memlock_bytes, NULL},
    };
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        int r = take_u64(object, amounts[i].name, amounts[i].bytes);
        if (r == -EINVAL) {
            return r;
        }
        if (amounts[i].is_said != NULL) {
            *amounts[i].is_said = r == 0;
        }
    }
    if (json_is_true(json_object_get(object, "memlock_unlimited"))) {
        demand->memlock_bytes = UINT64_MAX;
    }
    return 0;
}

static int take_demand(const json_t *object, struct ma_demand *demand) {
    char operation[16];
    if (take_text(object, "uuid", demand->uuid, sizeof(demand->uuid)) < 0 ||
        take_text(object, "name", demand->name, sizeof(demand->name)) < 0 ||
        take_text(object, "operation", operation, sizeof(operation)) < 0) {
        return -EINVAL;
    }
    int index = ma_demand_operation_from_name(operation);
    if (index < 0 || take_amounts(object, demand) < 0) {
        return -EINVAL;
    }
    demand->operation = (enum ma_demand_operation) index;
    demand->is_movable = json_is_true(json_object_get(object, "movable"));
    return take_parts(json_object_get(object, "parts"), demand);
}

static void render_finding(struct ma_json *json, const struct ma_admit_finding *finding) {
    char text[512];
    ma_json_object(json, NULL);
    ma_json_string(json, "reason", ma_admit_reason_name(finding->reason));
    ma_json_bool(json, "refuses", finding->is_refusing);
    if (finding->node_mask != 0) {
        ma_json_array(json, "nodes");
        for (unsigned id = 0; id < MA_DEMAND_NODES_MAX; id++) {
            if ((finding->node_mask >> id & 1U) != 0) {
                ma_json_u64(json, NULL, id);
            }
        }
        ma_json_end_array(json);
    }
    if (finding->page_bytes != 0) {
        ma_json_u64(json, "page_bytes", finding->page_bytes);
    }
    if (finding->needed_bytes != 0 && finding->needed_bytes != UINT64_MAX) {
        ma_json_u64(json, "needed_bytes", finding->needed_bytes);
        ma_json_u64(json, "there_bytes", finding->there_bytes);
    }
    if (finding->wait_usec != 0) {
        ma_json_u64(json, "wait_usec", finding->wait_usec);
    }
    ma_json_string(json, "text", ma_admission_finding_text(text, sizeof(text), finding));
    ma_json_end_object(json);
}

static bool reply_answer(const struct turn *turn, const struct ma_admission_answer *answer) {
    static char buf[32768]; /* the control thread's alone; 24 findings of 600 bytes and a message */
    struct ma_json json;
    ma_json_init(&json, buf, sizeof(buf));
    ma_json_object(&json, NULL);
    ma_json_object(&json, "parameters");
    ma_json_object(&json, "verdict");
    ma_json_bool(&json, "fits", answer->verdict.is_admitted);
    ma_json_bool(&json, "refused", answer->is_refused);
    ma_json_string(&json, "mode", ma_admit_mode_name(answer->verdict.mode));
    ma_json_u64(&json, "needs_bytes", answer->verdict.reservation.need_bytes);
    ma_json_u64(&json, "counts_for_bytes", answer->verdict.reservation.committed_bytes);
    ma_json_array(&json, "findings");
    for (size_t i = 0; i < answer->verdict.n_findings; i++) {
        render_finding(&json, &answer->verdict.findings[i]);
    }
    ma_json_end_array(&json);
    ma_json_string(&json, "message", answer->message);
    ma_json_end_object(&json);
    ma_json_end_object(&json);
    ma_json_end_object(&json);
    return !json.is_truncated &&
           ma_control_client_send(turn->control, turn->client, buf, json.len + 1);
}

bool ma_control_admit(const struct turn *turn) {
    struct ma_admission_request request = {.is_dry_run = false};
    struct ma_admission_answer answer;
    struct ma_err err = {0};
    const json_t *parameters = turn->call->parameters;
    request.is_dry_run = json_is_true(json_object_get(parameters, "dry_run"));
    if (turn->control->ops.admit == NULL ||
        take_demand(json_object_get(parameters, "demand"), &request.demand) < 0) {
        return ma_control_invalid(turn, "demand", bad_demand);
    }
    if (!request.is_dry_run && !turn->client->is_root) {
        return ma_control_fail(turn, "io.memarb.Arbiter.NotAllowed", "method",
                               "io.memarb.Arbiter.Admit",
                               "asking is for members of the group, with dry_run; starts are "
                               "root's");
    }
    int r = turn->control->ops.admit(turn->control->ops.userdata, &request, &answer, &err);
    if (r < 0) {
        return ma_control_fail(
            turn, r == -EAGAIN ? "io.memarb.Arbiter.NotReady" : "io.memarb.Arbiter.Failed", NULL,
            NULL, err.message);
    }
    return reply_answer(turn, &answer);
}

/* By uuid alone: the guest is in no list any more, or not yet. */
static bool run_by_uuid(const struct turn *turn, enum ma_command_kind kind) {
    struct ma_command command = {.kind = kind};
    if (take_text(turn->call->parameters, "uuid", command.guest, sizeof(command.guest)) < 0) {
        return ma_control_invalid(turn, "uuid", "the guest's uuid");
    }
    return ma_control_run_command(turn, &command, command.guest);
}

bool ma_control_forget(const struct turn *turn) {
    return run_by_uuid(turn, MA_COMMAND_FORGET);
}

bool ma_control_readmit(const struct turn *turn) {
    return run_by_uuid(turn, MA_COMMAND_READMIT);
}
