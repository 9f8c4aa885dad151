/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-methods.c - the methods of io.memarb.Arbiter and of org.varlink.service.
 *
 * Reading is for whoever may connect (the socket's mode says who). What changes anything takes uid 0 by peer
 * credentials, whatever group the caller is in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "control-turn.h"
#include "interface.h"

#define HOLD_MAX_USEC (UINT64_C(365) * 24 * 3600 * MA_USEC_PER_SEC)

bool ma_control_fail(const struct turn *turn,
                     const char *error,
                     const char *key,
                     const char *value,
                     const char *message) {
    return ma_control_reply_error(turn->control, turn->client, error, key, value, message);
}

bool ma_control_invalid(const struct turn *turn, const char *parameter, const char *message) {
    return ma_control_fail(turn, "org.varlink.service.InvalidParameter", "parameter", parameter,
                           message);
}

static bool reply_view(const struct turn *turn, ma_control_render_fn render) {
    struct ma_control_request request = {.call = turn->call};
    return ma_control_reply(turn->control, turn->client, render, &request);
}

static bool get_status(const struct turn *turn) {
    return reply_view(turn, ma_control_render_status);
}
static bool list_guests(const struct turn *turn) {
    return reply_view(turn, ma_control_render_guests);
}
static bool get_plan(const struct turn *turn) {
    return reply_view(turn, ma_control_render_plan);
}
static bool get_snapshot(const struct turn *turn) {
    return reply_view(turn, ma_control_render_snapshot);
}

static bool explain(const struct turn *turn) {
    struct ma_control_request request = {.call = turn->call};
    if (ma_varlink_get_text(turn->call, "guest", request.guest, sizeof(request.guest)) != 0 ||
        request.guest[0] == '\0') {
        return ma_control_invalid(turn, "guest",
                                  "name a guest by uuid, name, or the unique beginning of one");
    }
    return ma_control_reply(turn->control, turn->client, ma_control_render_explain, &request);
}

static bool subscribe(const struct turn *turn) {
    uint64_t last = 0;
    int r = ma_varlink_get_u64(turn->call, "last", MA_CONTROL_HISTORY_MAX, &last);
    if (r != 0 && r != -ENOENT) {
        return ma_control_invalid(turn, "last", "a number of past events, 0 to 256");
    }
    if (!turn->call->is_more) {
        return ma_control_fail(turn, "org.varlink.service.ExpectedMore", NULL, NULL,
                               "Subscribe answers many times; call it with \"more\": true");
    }
    return ma_control_subscribe(turn->control, turn->client, last);
}

bool ma_control_run_command(const struct turn *turn,
                            const struct ma_command *command,
                            const char *guest) {
    struct ma_err err = {0};
    int r = turn->control->ops.command(turn->control->ops.userdata, command, &err);
    const char *message = err.message[0] != '\0' ? err.message : strerror(-r);
    if (r == 0) {
        return ma_control_reply_empty(turn->control, turn->client);
    }
    if (r == -ENOENT) {
        return ma_control_fail(turn, "io.memarb.Arbiter.NotFound", "guest", guest, message);
    }
    if (r == -EPERM || r == -EINVAL) {
        return ma_control_fail(turn, "io.memarb.Arbiter.Refused", NULL, NULL, message);
    }
    return ma_control_fail(turn, "io.memarb.Arbiter.Failed", NULL, NULL, message);
}

static bool arm(const struct turn *turn) {
    struct ma_command command = {.kind = MA_COMMAND_ARM};
    char rung[16];
    int value = -1;
    if (ma_varlink_get_text(turn->call, "rung", rung, sizeof(rung)) == 0) {
        value = ma_arm_from_name(rung);
    }
    if (value < 0) {
        return ma_control_invalid(turn, "rung", "one of: observe, reclaim, pause, kill");
    }
    command.arm = (enum ma_arm) value;
    return ma_control_run_command(turn, &command, "");
}

static bool disarm(const struct turn *turn) {
    struct ma_command command = {.kind = MA_COMMAND_DISARM, .arm = MA_ARM_OBSERVE};
    return ma_control_run_command(turn, &command, "");
}

static bool reload(const struct turn *turn) {
    struct ma_command command = {.kind = MA_COMMAND_RELOAD};
    return ma_control_run_command(turn, &command, "");
}

/* The lookup of ma_control_reply() without a reply: which guest is meant? */
static int resolve(const struct turn *turn, struct ma_control_request *request) {
    const struct ma_control_ops *ops = &turn->control->ops;
    const struct ma_view *view = ops->view_lock(ops->userdata);
    int r = view != NULL ? ma_control_find_guest(view, request) : -ENODATA;
    ops->view_unlock(ops->userdata);
    return r;
}

/* A guest that must be there. 0: command->guest is set; else the answer was sent: *ret_is_good. */
static int take_guest(const struct turn *turn, struct ma_command *command, bool *ret_is_good) {
    struct ma_control_request request = {.call = turn->call};
    int r = ma_varlink_get_text(turn->call, "guest", request.guest, sizeof(request.guest));
    if (r == -EINVAL || request.guest[0] == '\0') {
        *ret_is_good = ma_control_invalid(
            turn, "guest", "name a guest by uuid, name, or the unique beginning of one");
        return -EINVAL;
    }
    r = resolve(turn, &request);
    if (r == -ENOTUNIQ) {
        *ret_is_good =
            ma_control_fail(turn, "io.memarb.Arbiter.Ambiguous", "matches", request.matches,
                            "several guests match; name one by its uuid");
    } else if (r != 0) {
        *ret_is_good = ma_control_fail(
            turn, r == -ENODATA ? "io.memarb.Arbiter.NotReady" : "io.memarb.Arbiter.NotFound",
            "guest", request.guest,
            r == -ENODATA ? "memarbd has taken no snapshot yet; ask again in a second"
                          : "no guest has this uuid or name; memarbctl guests lists them");
    } else {
        (void) snprintf(command->guest, sizeof(command->guest), "%s", request.uuid);
    }
    return r;
}

static bool hold(const struct turn *turn) {
    struct ma_command command = {.kind = MA_COMMAND_HOLD};
    bool is_good = true;
    if (ma_varlink_get_u64(turn->call, "usec", HOLD_MAX_USEC, &command.duration_usec) != 0) {
        return ma_control_invalid(turn, "usec", "microseconds, up to a year; 0 lifts the hold");
    }
    if (take_guest(turn, &command, &is_good) != 0) {
        return is_good;
    }
    return ma_control_run_command(turn, &command, command.guest);
}

static bool release_taken(const struct turn *turn) {
    struct ma_command command = {.kind = MA_COMMAND_RELEASE};
    bool is_good = true;
    const json_t *guest = json_object_get(turn->call->parameters, "guest");
    if (guest != NULL && !json_is_null(guest) && take_guest(turn, &command, &is_good) != 0) {
        return is_good;
    }
    return ma_control_run_command(turn, &command, command.guest);
}

static bool get_info(const struct turn *turn) {
    static const char info[] =
        "{\"parameters\":{\"vendor\":\"memarb\",\"product\":\"memarbd\",\"version\":"
        "\"" MEMARB_VERSION
        "\",\"url\":\"\",\"interfaces\":[\"io.memarb.Arbiter\",\"org.varlink.service\"]}}";
    return ma_control_client_send(turn->control, turn->client, info, sizeof(info));
}

static bool get_interface(const struct turn *turn) {
    static char buf[16384]; /* the control thread's alone */
    struct ma_json json;
    char name[MA_VARLINK_METHOD_MAX];
    const char *text = NULL;
    if (ma_varlink_get_text(turn->call, "interface", name, sizeof(name)) != 0) {
        return ma_control_invalid(turn, "interface", "io.memarb.Arbiter or org.varlink.service");
    }
    if (strcmp(name, "io.memarb.Arbiter") == 0) {
        text = ma_interface_arbiter;
    } else if (strcmp(name, "org.varlink.service") == 0) {
        text = ma_interface_service;
    } else {
        return ma_control_fail(turn, "org.varlink.service.InterfaceNotFound", "interface", name,
                               "known: io.memarb.Arbiter, org.varlink.service");
    }
    ma_json_init(&json, buf, sizeof(buf));
    ma_json_object(&json, NULL);
    ma_json_object(&json, "parameters");
    ma_json_string(&json, "description", text);
    ma_json_end_object(&json);
    ma_json_end_object(&json);
    return !json.is_truncated &&
           ma_control_client_send(turn->control, turn->client, buf, json.len + 1);
}

static bool is_of_known_interface(const char *method) {
    static const char *const prefixes[] = {"io.memarb.Arbiter.", "org.varlink.service."};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(method, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static const struct method {
    const char *name;
    const char *parameters; /* known names */
    bool is_for_root;
    bool (*answer)(const struct turn *turn);
} methods[] = {
    {"io.memarb.Arbiter.GetStatus", "", false, get_status},
    {"io.memarb.Arbiter.ListGuests", "", false, list_guests},
    {"io.memarb.Arbiter.Explain", "guest", false, explain},
    {"io.memarb.Arbiter.GetPlan", "", false, get_plan},
    {"io.memarb.Arbiter.GetSnapshot", "", false, get_snapshot},
    {"io.memarb.Arbiter.Subscribe", "last", false, subscribe},
    {"io.memarb.Arbiter.Arm", "rung", true, arm},
    {"io.memarb.Arbiter.Disarm", "", true, disarm},
    {"io.memarb.Arbiter.Hold", "guest usec", true, hold},
    {"io.memarb.Arbiter.Release", "guest", true, release_taken},
    {"io.memarb.Arbiter.Reload", "", true, reload},
    {"io.memarb.Arbiter.Admit", "demand dry_run", false, ma_control_admit},
    {"io.memarb.Arbiter.Forget", "uuid", true, ma_control_forget},
    {"io.memarb.Arbiter.Readmit", "uuid", true, ma_control_readmit},
    {"org.varlink.service.GetInfo", "", false, get_info},
    {"org.varlink.service.GetInterfaceDescription", "interface", false, get_interface},
};

static bool dispatch(const struct turn *turn) {
    const char *name = turn->call->method;
    const struct method *method = NULL;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            method = &methods[i];
        }
    }
    if (method == NULL && !is_of_known_interface(name)) {
        return ma_control_fail(turn, "org.varlink.service.InterfaceNotFound", "interface", name,
                               "known: io.memarb.Arbiter, org.varlink.service");
    }
    if (method == NULL) {
        return ma_control_fail(turn, "org.varlink.service.MethodNotFound", "method", name,
                               "org.varlink.service.GetInterfaceDescription lists the methods");
    }
    const char *unknown = ma_varlink_unknown_parameter(turn->call, method->parameters);
    if (unknown != NULL) {
        return ma_control_invalid(turn, unknown, "this method has no such parameter");
    }
    if (method->is_for_root && !turn->client->is_root) {
        return ma_control_fail(turn, "io.memarb.Arbiter.NotAllowed", "method", name,
                               "reading is for members of the group, changing for root: use sudo");
    }
    return method->answer(turn);
}

bool ma_control_answer(struct ma_control *control,
                       struct ma_control_client *client,
                       const char *text,
                       size_t len) {
    struct ma_varlink_call call;
    struct ma_err err = {0};
    if (client->is_subscribed) {
        return false; /* a subscription holds the connection; a call besides needs another one */
    }
    if (ma_varlink_parse_call(text, len, &call, &err) != 0) {
        client->is_ending = true;
        return ma_control_reply_error(control, client, "io.memarb.Arbiter.BadMessage", NULL, NULL,
                                      err.message);
    }
    struct turn turn = {control, client, &call};
    size_t before = client->out_len;
    bool is_good = dispatch(&turn);
    if (is_good && call.is_oneway && !client->is_subscribed) {
        client->out_len = before; /* carried out; the caller asked for silence */
    }
    ma_varlink_call_fini(&call);
    return is_good;
}
