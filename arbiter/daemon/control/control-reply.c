/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-reply.c - answers: rendered to memory inside the read section, handed over outside of it.
 *
 * A reply that does not fit is rendered again into twice the memory: nothing is allocated while the view is held. */
#include "control-reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "cleanup.h"

#define REPLY_FIRST_BYTES (64U << 10)

/* Hands a finished document over; ma_json leaves room for the NUL that ends the frame. */
static bool send_json(struct ma_control *control,
                      struct ma_control_client *client,
                      const struct ma_json *json) {
    return ma_control_client_send(control, client, json->buf, json->len + 1);
}

bool ma_control_reply_error(struct ma_control *control,
                            struct ma_control_client *client,
                            const char *error,
                            const char *key,
                            const char *value,
                            const char *message) {
    char buf[4096];
    struct ma_json json;
    ma_json_init(&json, buf, sizeof(buf));
    ma_json_object(&json, NULL);
    ma_json_string(&json, "error", error);
    ma_json_object(&json, "parameters");
    if (key != NULL) {
        ma_json_string(&json, key, value);
    }
    ma_json_string(&json, "message", message);
    ma_json_end_object(&json);
    ma_json_end_object(&json);
    return !json.is_truncated && send_json(control, client, &json);
}

bool ma_control_reply_empty(struct ma_control *control, struct ma_control_client *client) {
    static const char empty[] = "{\"parameters\":{}}";
    return ma_control_client_send(control, client, empty, sizeof(empty));
}

static bool reply_lookup_error(struct ma_control *control,
                               struct ma_control_client *client,
                               int r,
                               const struct ma_control_request *request) {
    switch (-r) {
    case ENOENT:
        return ma_control_reply_error(
            control, client, "io.memarb.Arbiter.NotFound", "guest", request->guest,
            "no guest has this uuid or name, and none begins so; memarbctl guests "
            "lists them");
    case ENOTUNIQ:
        return ma_control_reply_error(control, client, "io.memarb.Arbiter.Ambiguous", "matches",
                                      request->matches,
                                      "several guests match; name one by its uuid");
    case ENODATA:
        return ma_control_reply_error(control, client, "io.memarb.Arbiter.NotReady", NULL, NULL,
                                      "memarbd has taken no snapshot yet; ask again in a second");
    case EMSGSIZE:
        return ma_control_reply_error(
            control, client, "io.memarb.Arbiter.Busy", NULL, NULL,
            "the answer is too large for the memory set aside for answers; ask again "
            "when other clients have read theirs, or ask for one guest");
    default:
        return ma_control_reply_error(control, client, "io.memarb.Arbiter.Failed", NULL, NULL,
                                      strerror(-r));
    }
}

/* One attempt with the memory at hand. 0, -EMSGSIZE (truncated), or what render said. */
static int render_once(struct ma_control *control,
                       struct ma_json *json,
                       ma_control_render_fn render,
                       struct ma_control_request *request) {
    int r = -ENODATA;
    ma_json_object(json, NULL);
    ma_json_object(json, "parameters");
    const struct ma_view *view = control->ops.view_lock(control->ops.userdata);
    if (view != NULL) {
        r = render(json, view, request);
    }
    control->ops.view_unlock(control->ops.userdata);
    ma_json_end_object(json);
    ma_json_end_object(json);
    return r == 0 && json->is_truncated ? -EMSGSIZE : r;
}

bool ma_control_reply(struct ma_control *control,
                      struct ma_control_client *client,
                      ma_control_render_fn render,
                      struct ma_control_request *request) {
    size_t max = ma_min_u64(MA_CONTROL_REPLY_MAX,
                            ma_sub_floor0(MA_CONTROL_PENDING_MAX, control->pending_bytes));
    int r = -EMSGSIZE;
    for (size_t size = REPLY_FIRST_BYTES; size <= max && r == -EMSGSIZE; size *= 2) {
        struct ma_json json;
        ma_auto_free char *buf = malloc(size);
        if (buf == NULL) {
            r = -ENOMEM;
            break;
        }
        ma_json_init(&json, buf, size);
        r = render_once(control, &json, render, request);
        if (r == 0) {
            return send_json(control, client, &json);
        }
    }
    return reply_lookup_error(control, client, r, request);
}

static void add_match(struct ma_control_request *request, const char *uuid) {
    size_t len = strlen(request->matches);
    if (len + strlen(uuid) + 2 < sizeof(request->matches)) {
        char *at = request->matches + len;
        if (len > 0) {
            *at++ = ' ';
        }
        (void) memcpy(at, uuid, strlen(uuid) + 1);
    }
}

enum match { MATCH_NONE, MATCH_PREFIX, MATCH_NAME, MATCH_UUID };

static enum match match_guest(const struct ma_guest *guest, const char *asked) {
    size_t len = strlen(asked);
    if (strcasecmp(guest->uuid, asked) == 0) {
        return MATCH_UUID;
    }
    if (strcmp(guest->name, asked) == 0) {
        return MATCH_NAME;
    }
    if (strncasecmp(guest->uuid, asked, len) == 0 || strncmp(guest->name, asked, len) == 0) {
        return MATCH_PREFIX;
    }
    return MATCH_NONE;
}

int ma_control_find_guest(const struct ma_view *view, struct ma_control_request *request) {
    const struct ma_snapshot *snapshot = &view->snapshot;
    enum match best = MATCH_NONE;
    size_t n_best = 0;
    request->matches[0] = '\0';
    for (size_t i = 0; i < snapshot->n_guests && request->guest[0] != '\0'; i++) {
        enum match match = match_guest(&snapshot->guests[i], request->guest);
        if (match > best) {
            best = match;
            n_best = 0;
            request->matches[0] = '\0';
        }
        if (match != MATCH_NONE && match == best) {
            request->index = i;
            n_best++;
            add_match(request, snapshot->guests[i].uuid);
        }
    }
    if (n_best != 1) {
        return n_best == 0 ? -ENOENT : -ENOTUNIQ;
    }
    const char *uuid = snapshot->guests[request->index].uuid;
    size_t len = strnlen(uuid, sizeof(request->uuid) - 1);
    (void) memcpy(request->uuid, uuid, len);
    request->uuid[len] = '\0';
    return 0;
}
