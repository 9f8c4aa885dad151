/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* offline-plan.h - snapshot text in, plan text out, without a daemon (memarbctl plan --snapshot, --stream).
 *
 * Two modes. A single snapshot is taken as a need that stands: no quiet time, no second sample. A stream keeps the
 * controller's memory between its snapshots, so that another program can play the host: it starts without a quiet
 * time, a victim's need must stand in two snapshots, and what a plan arms counts as done. */

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "decide.h"
#include "err.h"
#include "policy.h"
#include "settings.h"

struct ma_offline {
    const struct ma_policy *policy; /* NULL: what the snapshot's settings name */
    /* Borrowed; NULL: defaults. The snapshot's own settings outrank it. */
    const struct ma_config *config;
    bool is_stream;
    /* private */
    struct ma_state state;
    void *state_memory;
    void *plan_memory;
    void *scratch_memory;
    size_t max_guests;
    size_t scratch_bytes;
    char *json;
    size_t json_size;
};

void ma_offline_init(struct ma_offline *offline);
void ma_offline_fini(struct ma_offline *offline);
/* Decides on one snapshot's text. *ret_json (NUL-terminated, no newline) belongs to offline and lives until the next
 * call. 0; -EINVAL, -ERANGE (the text or its contents, with the place), -ENOMEM, or the policy's error. A text that
 * cannot be read changes nothing in a stream's memory. */
int ma_cmd_plan_text(struct ma_offline *offline,
                     const char *text,
                     size_t len,
                     const char **ret_json,
                     struct ma_err *err);
