/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-events.c - events from the loop to the subscribers.
 *
 * The loop copies an event into the inbox and goes on; the lock is held for that copy alone, with priority
 * inheritance, and nothing is allocated. This thread takes the whole inbox at once and deals it out. Full inbox, full
 * client: the event is lost for them, counted, and the count goes out with the next one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "control-internal.h"

int ma_control_inbox_init(struct ma_control_inbox *inbox) {
    pthread_mutexattr_t attributes;
    inbox->bytes = malloc(MA_CONTROL_INBOX_BYTES);
    if (inbox->bytes == NULL || pthread_mutexattr_init(&attributes) != 0) {
        return -ENOMEM;
    }
    (void) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    int r = pthread_mutex_init(&inbox->lock, &attributes);
    (void) pthread_mutexattr_destroy(&attributes);
    return -r;
}

void ma_control_inbox_fini(struct ma_control_inbox *inbox) {
    (void) pthread_mutex_destroy(&inbox->lock);
    free(inbox->bytes);
}

void ma_control_event(struct ma_control *control, const char *json, size_t len) {
    struct ma_control_inbox *inbox = &control->inbox;
    uint32_t length = (uint32_t) len;
    uint64_t one = 1;
    (void) pthread_mutex_lock(&inbox->lock);
    if (len == 0 || len > MA_CONTROL_EVENT_MAX ||
        inbox->len + sizeof(length) + len > MA_CONTROL_INBOX_BYTES) {
        inbox->lost_count++;
    } else {
        (void) memcpy(inbox->bytes + inbox->len, &length, sizeof(length));
        (void) memcpy(inbox->bytes + inbox->len + sizeof(length), json, len);
        inbox->len += sizeof(length) + len;
    }
    (void) pthread_mutex_unlock(&inbox->lock);
    (void) !write(control->wake_fd, &one,
                  sizeof(one)); /* full means that a wake is pending already */
}

/* {"parameters":{"event":...,"lost":n},"continues":true} */
static bool send_event(struct ma_control *control,
                       struct ma_control_client *client,
                       const char *event,
                       size_t len) {
    if (client->out_len - client->out_at + len > MA_CONTROL_EVENTS_PENDING_MAX ||
        control->pending_bytes + len > MA_CONTROL_PENDING_MAX) {
        client->lost_count++;
        return true;
    }
    int n = snprintf(control->frame, sizeof(control->frame),
                     "{\"parameters\":{\"event\":%.*s,\"lost\":%llu},\"continues\":true}",
                     (int) len, event, (unsigned long long) client->lost_count);
    if (n < 0 || (size_t) n >= sizeof(control->frame) ||
        !ma_control_client_send(control, client, control->frame, (size_t) n + 1)) {
        client->lost_count++;
        return true;
    }
    client->lost_count = 0;
    return ma_control_client_flush(control, client);
}

static void remember(struct ma_control *control, const char *event, size_t len) {
    char *copy = strndup(event, len);
    if (copy == NULL) {
        return;
    }
    free(control->history[control->history_at]);
    control->history[control->history_at] = copy;
    control->history_at = (control->history_at + 1) % MA_CONTROL_HISTORY_MAX;
    if (control->n_history < MA_CONTROL_HISTORY_MAX) {
        control->n_history++;
    }
}

void ma_control_forget_history(struct ma_control *control) {
    for (size_t i = 0; i < MA_CONTROL_HISTORY_MAX; i++) {
        free(control->history[i]);
        control->history[i] = NULL;
    }
}

static void deal_out(struct ma_control *control, const char *event, size_t len) {
    remember(control, event, len);
    for (size_t i = control->n_clients; i-- > 0;) {
        struct ma_control_client *client = &control->clients[i];
        if (client->is_subscribed && !send_event(control, client, event, len)) {
            ma_control_client_close(control, i);
        }
    }
}

void ma_control_deliver_events(struct ma_control *control) {
    struct ma_control_inbox *inbox = &control->inbox;
    uint64_t wakes = 0;
    (void) !read(control->wake_fd, &wakes, sizeof(wakes)); /* only resets it */
    (void) pthread_mutex_lock(&inbox->lock);
    size_t len = inbox->len;
    uint64_t lost = inbox->lost_count;
    (void) memcpy(control->drained, inbox->bytes, len);
    inbox->len = 0;
    inbox->lost_count = 0;
    (void) pthread_mutex_unlock(&inbox->lock);
    for (size_t i = 0; lost > 0 && i < control->n_clients; i++) {
        control->clients[i].lost_count += control->clients[i].is_subscribed ? lost : 0;
    }
    for (size_t at = 0; at < len;) {
        uint32_t length = 0;
        (void) memcpy(&length, control->drained + at, sizeof(length));
        deal_out(control, control->drained + at + sizeof(length), length);
        at += sizeof(length) + length;
    }
}

bool ma_control_subscribe(struct ma_control *control,
                          struct ma_control_client *client,
                          uint64_t last) {
    static const char begun[] = "{\"kind\":\"subscribed\"}";
    size_t n = (size_t) ma_min_u64(last, control->n_history);
    client->is_subscribed = true;
    for (size_t i = n; i > 0; i--) {
        size_t at = (control->history_at + MA_CONTROL_HISTORY_MAX - i) % MA_CONTROL_HISTORY_MAX;
        const char *event = control->history[at];
        if (!send_event(control, client, event, strlen(event))) {
            return false;
        }
    }
    return send_event(control, client, begun, sizeof(begun) - 1);
}
