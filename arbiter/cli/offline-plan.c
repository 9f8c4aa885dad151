/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "offline-plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "formats.h"
#include "json-write.h"

/* Room beyond the snapshot's guests, so that a few newcomers need no new tables. */
#define SPARE_GUESTS 64U
/* A plan's text: this much for the frame and for each guest to begin with; grown when it does not fit. */
#define JSON_FRAME_BYTES 16384U
#define JSON_GUEST_BYTES 4096U
#define JSON_MAX_BYTES   (UINT64_C(1) << 30)

void ma_offline_init(struct ma_offline *offline) {
    memset(offline, 0, sizeof(*offline));
}

void ma_offline_fini(struct ma_offline *offline) {
    free(offline->state_memory);
    free(offline->plan_memory);
    free(offline->scratch_memory);
    free(offline->json);
    memset(offline, 0, sizeof(*offline));
}

/* Room for that many guests; the state that is kept moves along. */
static int make_room(struct ma_offline *offline, size_t n_guests) {
    size_t capacity = n_guests + offline->state.n_guests + SPARE_GUESTS;
    struct ma_state moved;
    void *state_memory;
    void *plan_memory;
    void *scratch_memory;

    if (offline->scratch_memory != NULL && n_guests <= offline->max_guests &&
        offline->state.n_guests + n_guests <= offline->state.max_guests) {
        return 0;
    }
    state_memory = malloc(ma_state_memory_size(capacity));
    plan_memory = malloc(ma_plan_memory_size(capacity));
    scratch_memory = malloc(ma_scratch_size(capacity));
    if (state_memory == NULL || plan_memory == NULL || scratch_memory == NULL) {
        free(state_memory);
        free(plan_memory);
        free(scratch_memory);
        return -ENOMEM;
    }
    ma_state_init(&moved, state_memory, capacity, 0);
    if (offline->state.n_guests > 0 || offline->state.seq > 0) {
        (void) ma_state_copy(&moved, &offline->state); /* the new table is larger: it fits */
    }
    free(offline->state_memory);
    free(offline->plan_memory);
    free(offline->scratch_memory);
    offline->state = moved;
    offline->state_memory = state_memory;
    offline->plan_memory = plan_memory;
    offline->scratch_memory = scratch_memory;
    offline->scratch_bytes = ma_scratch_size(capacity);
    offline->max_guests = capacity;
    return 0;
}

/* The snapshot's word over the configuration's over the defaults. */
static int
settle(const struct ma_offline *offline, struct ma_snapshot *snapshot, struct ma_err *err) {
    struct ma_settings merged;
    const char *problem = NULL;
    int r;

    ma_settings_init(&merged);
    if (offline->config != NULL) {
        r = ma_config_settings(offline->config, snapshot->host.total_bytes, &merged, err);
        if (r < 0) {
            return r;
        }
    }
    ma_settings_take_said(&merged, &snapshot->settings);
    r = ma_settings_resolve(&merged, snapshot->host.total_bytes, &problem);
    if (r < 0) {
        return ma_err_set(err, r, "$.settings: %s", problem != NULL ? problem : "contradiction");
    }
    snapshot->settings = merged;
    return 0;
}

static const struct ma_policy *pick_policy(const struct ma_offline *offline,
                                           const struct ma_snapshot *snapshot,
                                           struct ma_err *err) {
    const struct ma_policy *policy = offline->policy;

    if (policy == NULL) {
        policy = ma_policy_find(snapshot->settings.policy);
    }
    if (policy == NULL) {
        (void) ma_err_set(err, -EINVAL, "$.settings.policy: there is no policy \"%s\"",
                          snapshot->settings.policy);
    }
    return policy;
}

static int write_json(struct ma_offline *offline,
                      const struct ma_plan *plan,
                      const struct ma_snapshot *snapshot,
                      struct ma_err *err) {
    size_t size = JSON_FRAME_BYTES + JSON_GUEST_BYTES * snapshot->n_guests;
    struct ma_json json;

    for (size = ma_max_u64(size, offline->json_size); size <= JSON_MAX_BYTES; size *= 2) {
        if (size > offline->json_size) {
            char *larger = realloc(offline->json, size);

            if (larger == NULL) {
                return ma_err_set(err, -ENOMEM, "no memory for the plan's text");
            }
            offline->json = larger;
            offline->json_size = size;
        }
        ma_json_init(&json, offline->json, offline->json_size);
        ma_json_plan(&json, NULL, plan, snapshot);
        if (!json.is_truncated) {
            return 0;
        }
    }
    return ma_err_set(err, -ERANGE, "the plan's text is too large");
}

int ma_cmd_plan_text(struct ma_offline *offline,
                     const char *text,
                     size_t len,
                     const char **ret_json,
                     struct ma_err *err) {
    struct ma_decide_options options = {.is_single_snapshot = !offline->is_stream};
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    const struct ma_policy *policy;
    struct ma_scratch scratch;
    struct ma_plan plan;
    int r = ma_formats_read_snapshot(text, len, &doc, err);

    if (r < 0 || (r = settle(offline, &doc->snapshot, err)) < 0) {
        return r;
    }
    policy = pick_policy(offline, &doc->snapshot, err);
    if (policy == NULL) {
        return -EINVAL;
    }
    if (!offline->is_stream) {
        ma_state_init(&offline->state, offline->state_memory, offline->state.max_guests, 0);
    }
    r = make_room(offline, doc->snapshot.n_guests);
    if (r < 0) {
        return ma_err_set(err, r, "no memory for %zu guests", doc->snapshot.n_guests);
    }
    ma_plan_init(&plan, offline->plan_memory, offline->max_guests);
    scratch =
        (struct ma_scratch){.memory = offline->scratch_memory, .bytes = offline->scratch_bytes};
    r = ma_decide(&doc->snapshot, policy, &options, &offline->state, scratch, &plan);
    if (r < 0) {
        return ma_err_set(err, r, "policy %s: %s", policy->name, strerror(-r));
    }
    r = write_json(offline, &plan, &doc->snapshot, err);
    if (r == 0) {
        *ret_json = offline->json;
    }
    return r;
}
