/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* inflight.c - what was asked and not answered (Q1, Q3 of client.c). */
#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "client-internal.h"

struct qmp_slot *qmp_inflight_take(struct qmp_client *c) {
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        struct qmp_slot *slot = &c->slots[i];
        if (slot->use == QMP_SLOT_FREE) {
            *slot = (struct qmp_slot){.use = QMP_SLOT_ACTIVE};
            return slot;
        }
    }
    return NULL;
}

struct qmp_slot *qmp_inflight_find(struct qmp_client *c, uint64_t id) {
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        if (c->slots[i].use != QMP_SLOT_FREE && c->slots[i].id == id) {
            return &c->slots[i];
        }
    }
    return NULL;
}

static unsigned count(const struct qmp_client *client, enum qmp_slot_use use) {
    unsigned n = 0;
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        n += client->slots[i].use == use ? 1U : 0U;
    }
    return n;
}

unsigned qmp_client_in_flight(const struct qmp_client *client) {
    return client->state == QMP_STATE_READY ? count(client, QMP_SLOT_ACTIVE) : 0;
}

unsigned qmp_client_unanswered(const struct qmp_client *client) {
    return count(client, QMP_SLOT_ABANDONED);
}

void qmp_inflight_complete(struct qmp_client *c, struct qmp_slot *slot, struct qmp_result *result) {
    struct qmp_slot was = *slot;
    bool is_owed = result->outcome == QMP_TIMEOUT && !result->was_not_sent;
    slot->use = is_owed ? QMP_SLOT_ABANDONED : QMP_SLOT_FREE;
    slot->explore = NULL;
    result->command = qmp_command_name(was.command);
    result->took_usec = ma_sub_floor0(c->now_usec, was.called_usec);
    if (result->text == NULL) {
        result->text = "";
    }
    if (was.done != NULL) {
        was.done(was.userdata, result);
    }
    qmp_explore_destroy(was.explore); /* the reply may live in it */
}

/* Unsent bytes of a command that nobody waits for any more must not reach a QEMU that wakes up later. */
static bool take_back(struct qmp_client *c, const struct qmp_slot *slot) {
    if (slot->position < c->out.sent_total) {
        return false;
    }
    qmp_out_withdraw(&c->out, slot->position, slot->length);
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        if (c->slots[i].use != QMP_SLOT_FREE && c->slots[i].position > slot->position) {
            c->slots[i].position -= slot->length;
        }
    }
    return true;
}

static void time_out(struct qmp_client *c, struct qmp_slot *slot) {
    bool is_back = take_back(c, slot);
    /* Of several commands the earlier ones were sent; they only asked. */
    struct qmp_result result = {
        .outcome = QMP_TIMEOUT,
        .was_not_sent = is_back,
        .text = is_back ? "not sent: the peer does not read" : "no answer in time",
    };
    c->counters.timeouts++;
    qmp_inflight_complete(c, slot, &result);
}

void qmp_inflight_expire(struct qmp_client *c) {
    unsigned epoch = c->epoch;
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX && qmp_client_is_same(c, epoch); i++) {
        struct qmp_slot *slot = &c->slots[i];
        if (slot->use == QMP_SLOT_ACTIVE && c->now_usec >= slot->deadline_usec) {
            time_out(c, slot);
        }
    }
}

uint64_t qmp_inflight_deadline(const struct qmp_client *c) {
    uint64_t deadline = UINT64_MAX;
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        if (c->slots[i].use == QMP_SLOT_ACTIVE) {
            deadline = ma_min_u64(deadline, c->slots[i].deadline_usec);
        }
    }
    return deadline;
}

void qmp_inflight_fail_all(struct qmp_client *c, uint64_t sent_total, const char *reason) {
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        struct qmp_slot *slot = &c->slots[i];
        if (slot->use == QMP_SLOT_ABANDONED) {
            slot->use = QMP_SLOT_FREE; /* completed long ago */
        } else if (slot->use == QMP_SLOT_ACTIVE) {
            struct qmp_result result = {
                .outcome = QMP_CLOSED,
                .text = reason,
                .was_not_sent = slot->position >= sent_total,
            };
            qmp_inflight_complete(c, slot, &result);
        }
    }
}

static void
complete_capabilities(struct qmp_client *c, struct qmp_slot *slot, const json_t *error) {
    slot->use = QMP_SLOT_FREE;
    if (error != NULL) {
        const char *text = json_string_value(json_object_get(error, "desc"));
        qmp_client_lose(c, "qmp_capabilities refused: %s", text != NULL ? text : "no reason given");
    } else {
        qmp_client_become_ready(c);
    }
}

static void complete_error(struct qmp_client *c,
                           struct qmp_slot *slot,
                           const json_t *error,
                           struct qmp_result *result) {
    struct ma_err err;
    const char *name = json_string_value(json_object_get(error, "class"));
    if (qmp_json_text(json_object_get(error, "desc"), err.message, sizeof(err.message)) < 0) {
        (void) ma_err_set(&err, -EPROTO, "an error without a description");
    }
    result->outcome = QMP_ERROR;
    result->error_class = qmp_decode_error_class(name);
    result->text = err.message;
    c->counters.errors++;
    qmp_inflight_complete(c, slot, result);
}

static void complete_bad(struct qmp_client *c,
                         struct qmp_slot *slot,
                         struct ma_err *err,
                         struct qmp_result *result) {
    (void) ma_err_prefix(err, "answer to %s", qmp_command_name(slot->command));
    result->outcome = QMP_BAD_REPLY;
    result->text = err->message;
    c->counters.errors++;
    qmp_inflight_complete(c, slot, result);
}

static void complete_return(struct qmp_client *c,
                            struct qmp_slot *slot,
                            const json_t *root,
                            struct qmp_result *result) {
    union qmp_reply reply;
    struct ma_err err;
    qmp_decode_fn decode = qmp_command_decoder(slot->command);
    if (decode != NULL) {
        if (decode(json_object_get(root, "return"), &reply, &err) < 0) {
            complete_bad(c, slot, &err, result);
            return;
        }
        result->reply = &reply;
    }
    result->outcome = QMP_DONE;
    qmp_inflight_complete(c, slot, result);
}

static void explore(struct qmp_client *c,
                    struct qmp_slot *slot,
                    const json_t *root,
                    struct qmp_result *result) {
    struct ma_err err;
    int r = qmp_explore_step(c, slot, root, &result->reply, &err);
    if (r < 0) {
        complete_bad(c, slot, &err, result);
    } else if (r > 0) {
        result->outcome = QMP_DONE;
        qmp_inflight_complete(c, slot, result);
    }
}

/* Which slot the answer is for; NULL: none, and the connection is lost for it. */
static struct qmp_slot *match(struct qmp_client *c, const json_t *root) {
    const json_t *desc = json_object_get(json_object_get(root, "error"), "desc");
    const json_t *id = json_object_get(root, "id");
    uint64_t number = 0;
    if (id == NULL) {
        /* QEMU answers so to input that it could not parse. */
        qmp_client_lose(c, "an answer without an id: %s",
                        json_is_string(desc) ? json_string_value(desc) : "no description");
        return NULL;
    }
    if (qmp_json_u64(id, MA_BYTES_MAX, &number) < 0) {
        qmp_client_lose(c, "an answer whose id is not a number of ours");
        return NULL;
    }
    struct qmp_slot *slot = qmp_inflight_find(c, number);
    if (slot == NULL) {
        qmp_client_lose(c, "an answer to id %llu, which is not outstanding",
                        (unsigned long long) number);
    } else if (slot->position + slot->length > c->out.sent_total) {
        qmp_client_lose(c, "an answer to id %llu before it was sent", (unsigned long long) number);
        return NULL;
    }
    return slot;
}

void qmp_inflight_reply(struct qmp_client *c, const json_t *root, const char *line, size_t length) {
    const json_t *error = json_object_get(root, "error");
    struct qmp_result result = {.line = line, .line_length = length};
    if (error != NULL && json_object_get(root, "return") != NULL) {
        qmp_client_lose(c, "an answer with both \"return\" and \"error\"");
        return;
    }
    struct qmp_slot *slot = match(c, root);
    if (slot == NULL) {
        return;
    }
    if (slot->use == QMP_SLOT_ABANDONED) {
        slot->use = QMP_SLOT_FREE;
        c->counters.late_replies++;
        return;
    }
    c->counters.replies++;
    if (slot->command == QMP_COMMAND_CAPABILITIES) {
        complete_capabilities(c, slot, error);
    } else if (slot->explore != NULL) {
        explore(c, slot, root, &result);
    } else if (error != NULL) {
        complete_error(c, slot, error, &result);
    } else {
        complete_return(c, slot, root, &result);
    }
}
