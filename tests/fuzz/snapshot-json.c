/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a snapshot, a state, settings and a record line: an error or something that can be decided on; what was
 * read once is written and read again to the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "formats.h"
#include "json-write.h"

#define STATE_GUESTS 8
#define TEXT_MAX     (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int is_true) {
    if (!is_true) {
        abort();
    }
}

static void try_snapshot(const char *text, size_t len) {
    static char first[TEXT_MAX];
    static char second[TEXT_MAX];
    struct ma_json json;
    struct ma_check_problem problem;
    struct ma_err err = {0};
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    ma_autoptr(ma_snapshot_doc) again = NULL;
    if (ma_formats_read_snapshot(text, len, &doc, &err) < 0) {
        demand(err.code < 0 && err.message[0] != '\0' && doc == NULL);
        return;
    }
    demand(ma_snapshot_check(&doc->snapshot, &problem) == 0);
    ma_json_init(&json, first, sizeof(first));
    ma_json_snapshot(&json, NULL, &doc->snapshot);
    if (json.is_truncated) {
        return;
    }
    demand(ma_formats_read_snapshot(first, json.len, &again, &err) == 0);
    ma_json_init(&json, second, sizeof(second));
    ma_json_snapshot(&json, NULL, &again->snapshot);
    demand(strcmp(first, second) == 0);
}

static void try_state(const char *text, size_t len) {
    static struct ma_state state;
    void *memory = calloc(1, ma_state_memory_size(STATE_GUESTS));
    struct ma_err err = {0};
    demand(memory != NULL);
    ma_state_init(&state, memory, STATE_GUESTS, 0);
    int r = ma_formats_read_state(text, len, &state, &err);
    demand(state.n_guests <= STATE_GUESTS && (r == 0 || state.n_guests == 0));
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data;
    struct ma_settings settings;
    ma_autoptr(ma_record_line) line = NULL;
    try_snapshot(text, size);
    try_state(text, size);
    (void) ma_formats_read_settings(text, size, &settings, NULL);
    if (ma_formats_read_record_line(text, size, 0, &line, NULL) == 0 &&
        line->kind == MA_RECORD_CYCLE) {
        demand(line->cycle.plan_text >= text &&
               line->cycle.plan_text + line->cycle.plan_len <= text + size);
    }
    return 0;
}
