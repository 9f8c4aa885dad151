/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* persist.c - what must outlive memarbd: the controller's whole state, holds, the operator's arming, past victims.
 *
 * One JSON file under the run folder, replaced atomically by the writer's thread, with the number of the last intent
 * that is in it; on start the intents after that number are laid over it. A file that cannot be read is set aside,
 * never overwritten in silence: the intents alone still say what was taken. Another boot's file says nothing: its
 * guests are gone and its clock is another. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomic-file.h"
#include "bytes.h"
#include "cleanup.h"
#include "daemon.h"
#include "formats.h"
#include "json-write.h"
#include "persist-reservations.h"

#define STATE_FORMAT 1
/* 1,000 guests take about 1 MiB. */
#define STATE_MAX_BYTES ((size_t) 64 * 1024 * 1024)

static void path_of(const struct ma_daemon *d, const char *name, char *buf, size_t size) {
    (void) snprintf(buf, size, "%s/%s", d->options.run_dir, name);
}

static void read_boot_id(char buf[64]) {
    buf[0] = '\0';
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f != NULL) {
        if (fgets(buf, 64, f) == NULL) {
            buf[0] = '\0';
        }
        (void) fclose(f);
    }
    buf[strcspn(buf, "\n")] = '\0';
}

static void write_extras(struct ma_daemon *d, struct ma_json *json) {
    ma_json_array(json, "holds");
    for (size_t i = 0; i < d->guests.n; i++) {
        if (d->guests.items[i]->held_until_usec != 0) {
            ma_json_object(json, NULL);
            ma_json_string(json, "guest", d->guests.items[i]->uuid);
            ma_json_u64(json, "until_usec", d->guests.items[i]->held_until_usec);
            ma_json_end_object(json);
        }
    }
    ma_json_end_array(json);
    ma_json_array(json, "victims");
    for (size_t i = 0; i < d->n_victims; i++) {
        ma_json_object(json, NULL);
        ma_json_string(json, "guest", d->victims[i].uuid);
        ma_json_u64(json, "realtime_usec", d->victims[i].realtime_usec);
        if (d->victims[i].is_readmitted) {
            ma_json_bool(json, "readmitted", true);
        }
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
    ma_reservations_write(json, "reservations", &d->reservations);
    ma_json_bool(json, "last_resort_taken", d->exhausted.judged.is_done);
}

void ma_persist_save(struct ma_daemon *d) {
    char boot_id[64];
    struct ma_json json;
    read_boot_id(boot_id);
    ma_json_init(&json, d->json_buf, d->json_size);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "memarbd_state", STATE_FORMAT);
    ma_json_string(&json, "boot_id", boot_id);
    ma_json_u64(&json, "realtime_usec", ma_realtime_usec());
    ma_json_u64(&json, "intent_seq", ma_intent_log_last(d->intents));
    ma_json_string(&json, "arm", d->has_arm_override ? ma_arm_name(d->arm_override) : NULL);
    write_extras(d, &json);
    ma_json_state(&json, "state", &d->state);
    ma_json_end_object(&json);
    char *copy = json.is_truncated ? NULL : malloc(json.len + 1);
    if (copy == NULL) {
        return; /* still dirty: the next cycle tries again, the intents stand meanwhile */
    }
    memcpy(copy, d->json_buf, json.len + 1);
    ma_writer_state(d->writer, copy, json.len);
    d->is_state_dirty = false;
    d->state_written_usec = ma_now_usec();
}

static void read_holds(struct ma_daemon *d, const json_t *holds) {
    size_t i;
    const json_t *entry;
    json_array_foreach(holds, i, entry) {
        const char *uuid = json_string_value(json_object_get(entry, "guest"));
        json_int_t until = json_integer_value(json_object_get(entry, "until_usec"));
        struct ma_tracked *guest = uuid != NULL ? ma_guests_get(&d->guests, uuid) : NULL;
        if (guest != NULL && until > 0) {
            guest->held_until_usec = (uint64_t) until;
        }
    }
}

static void read_victims(struct ma_daemon *d, const json_t *victims) {
    size_t i;
    const json_t *entry;
    json_array_foreach(victims, i, entry) {
        const char *uuid = json_string_value(json_object_get(entry, "guest"));
        json_int_t at = json_integer_value(json_object_get(entry, "realtime_usec"));
        if (uuid != NULL && at > 0 && d->n_victims < MA_VICTIM_HISTORY) {
            struct ma_victim_note *note = &d->victims[d->n_victims++];
            (void) snprintf(note->uuid, sizeof(note->uuid), "%s", uuid);
            note->realtime_usec = (uint64_t) at;
            note->is_readmitted = json_is_true(json_object_get(entry, "readmitted"));
        }
    }
}

/* How long nobody has looked since. By both clocks, as the monotonic one stands still while a host sleeps; a wall clock that
 * was set makes it look old, which is the safe side. A file that does not say when it was written is old. */
static uint64_t age_usec(const struct ma_daemon *d, const json_t *root) {
    json_int_t written = json_integer_value(json_object_get(root, "realtime_usec"));
    uint64_t by_wall = ma_sub_floor0(ma_realtime_usec(), written > 0 ? (uint64_t) written : 0);

    return ma_max_u64(by_wall, ma_sub_floor0(ma_now_usec(), d->state.last_tick_usec));
}

static int read_document(struct ma_daemon *d,
                         const json_t *root,
                         uint64_t *ret_intent_seq,
                         struct ma_err *err) {
    char boot_id[64];
    read_boot_id(boot_id);
    const char *said = json_string_value(json_object_get(root, "boot_id"));
    if (json_integer_value(json_object_get(root, "memarbd_state")) != STATE_FORMAT ||
        said == NULL) {
        return ma_err_set(err, -EINVAL, "not a state file of this format");
    }
    if (strcmp(said, boot_id) != 0) {
        *ret_intent_seq = ma_intent_log_last(d->intents);
        return 0; /* another boot */
    }
    json_t *state = json_object_get(root, "state");
    char *text = json_dumps(state, JSON_COMPACT);
    if (text == NULL) {
        return ma_err_set(err, -EINVAL, "no state in it");
    }
    int r = ma_formats_read_state(text, strlen(text), &d->state, err);
    free(text);
    if (r < 0) {
        return r;
    }
    ma_state_take_up(&d->state, age_usec(d, root));
    int arm = -1;
    const char *arm_name = json_string_value(json_object_get(root, "arm"));
    if (arm_name != NULL) {
        arm = ma_arm_from_name(arm_name);
    }
    d->has_arm_override = arm >= 0;
    d->arm_override = arm >= 0 ? (enum ma_arm) arm : MA_ARM_OBSERVE;
    read_holds(d, json_object_get(root, "holds"));
    read_victims(d, json_object_get(root, "victims"));
    ma_reservations_read(json_object_get(root, "reservations"), &d->reservations);
    d->exhausted.judged.is_done = json_is_true(json_object_get(root, "last_resort_taken"));
    *ret_intent_seq = (uint64_t) json_integer_value(json_object_get(root, "intent_seq"));
    return 0;
}

/* An intent that the state file has not seen: its guest was (perhaps) acted on. Owing too much is mended by looking
 * at the guest; owing too little is memory that never returns. */
static void apply_intent(void *userdata, const struct ma_intent *intent) {
    struct ma_daemon *d = userdata;
    struct ma_guest_memory *memory = ma_state_get(&d->state, intent->uuid);
    if (memory == NULL) {
        return;
    }
    memory->taken |= intent->taken;
    if ((intent->taken & MA_TAKEN_BALLOON) != 0) {
        memory->balloon_before_bytes = intent->balloon_before_bytes;
        if (intent->action == MA_ACTION_BALLOON) {
            memory->balloon_ours_bytes = intent->to_bytes;
            memory->balloon_is_settled = false;
        }
    }
    if ((intent->taken & MA_TAKEN_RESIZE) != 0) {
        memory->resize_before_bytes = intent->resize_before_bytes;
        if (intent->action == MA_ACTION_RESIZE) {
            memory->resize_ours_bytes = intent->to_bytes;
            memory->resize_is_settled = false;
        }
    }
    if (intent->action == MA_ACTION_PAUSE) {
        memory->taken |= MA_TAKEN_PAUSE;
        memory->paused_since_usec = intent->monotonic_usec;
        memory->pause_is_settled = false;
    }
    memory->seen_usec = intent->monotonic_usec;
}

int ma_persist_load(struct ma_daemon *d, struct ma_err *err) {
    char path[MA_PATH_MAX];
    path_of(d, "intents", path, sizeof(path));
    int r = ma_intent_log_open(path, &d->intents, err);
    if (r < 0) {
        return r;
    }
    path_of(d, "limits", path, sizeof(path));
    r = ma_limit_log_open(path, &d->pins.limit_log, err);
    if (r < 0) {
        return r;
    }
    path_of(d, "state.json", path, sizeof(path));
    ma_auto_free char *text = NULL;
    size_t len = 0;
    uint64_t intent_seq = 0;
    struct ma_err problem = {0};
    r = ma_atomic_file_read(path, STATE_MAX_BYTES, &text, &len, &problem);
    if (r == 0) {
        json_error_t json_err;
        json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_err);
        r = root != NULL
                ? read_document(d, root, &intent_seq, &problem)
                : ma_err_set(&problem, -EINVAL, "line %d: %s", json_err.line, json_err.text);
        json_decref(root);
        if (r < 0) {
            char aside[MA_PATH_MAX + 8];
            (void) snprintf(aside, sizeof(aside), "%s.bad", path);
            (void) rename(path, aside);
            ma_log(
                MA_LOG_ERR,
                "the state in %s cannot be read (%s); kept as %s, going on from the intents alone",
                path, problem.message, aside);
        }
    }
    ma_intent_log_replay(d->intents, intent_seq, apply_intent, d);
    return 0;
}
