/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* formats.h - the contract's texts (snapshot, state, settings, record lines) read into the core's structs.
 *
 * Text in, structs out: no file is opened here. Reading is strict: an unknown key, a duplicate key, a wrong type, a
 * float, a number out of range, a missing required key, an unknown name are errors, and what was read so far is
 * dropped. A problem of form is named by line and column, one of content by its JSON path in terms of the text's
 * own order ("$.guests[3].balloon.state: ..."). Text is bounded in size and depth before it is parsed.
 *
 * Returns everywhere: 0; -EINVAL (form, contents), -ERANGE (a number or a size out of range), -ENOMEM, -ENOSPC
 * (state: the caller's table is too small). *err (may be NULL) says what and where; out-parameters are untouched on
 * failure unless said. Any thread; nothing is shared. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"
#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* 16384 guests with every figure and 8 nodes each are about 40 MiB. Too small: a big host's snapshot is refused;
 * too large: a hostile file takes memory (jansson needs some 10 times the text). */
#define MA_FORMATS_TEXT_MAX_BYTES (UINT64_C(64) << 20)
/* Nesting that the contract never reaches (a record line has 8). Bounds jansson's recursion. */
#define MA_FORMATS_DEPTH_MAX 16

/* One heap block: the snapshot, its arrays and strings. Guests are sorted by uuid, nodes by id, whatever the order
 * of the text. `settings` holds defaults and what was said (has); it is checked against contradictions, but not
 * resolved. */
struct ma_snapshot_doc {
    struct ma_snapshot snapshot;
};
void ma_snapshot_doc_free(struct ma_snapshot_doc *doc); /* NULL is fine */
MA_DEFINE_AUTOPTR(ma_snapshot_doc, ma_snapshot_doc_free);

/* urn:memarb:snapshot:1. What it returns has passed ma_snapshot_check(). An actual_bytes above max_bytes is the
 * guest's claim and is cut to max_bytes. Ownership of *ret goes to the caller. */
int ma_formats_read_snapshot(const char *text,
                             size_t len,
                             struct ma_snapshot_doc **ret,
                             struct ma_err *err);

/* What ma_json_state() wrote, into a state that ma_state_init() has laid out; everything in it is replaced. On
 * failure *into is as after ma_state_init() at time 0. -ENOSPC: more guests than into->max_guests. */
int ma_formats_read_state(const char *text, size_t len, struct ma_state *into, struct ma_err *err);
/* How many guests the state in that text has (to size the table), or negative errno. */
int64_t ma_formats_count_state_guests(const char *text, size_t len, struct ma_err *err);

/* What ma_json_settings() wrote: defaults, replaced by what is said. Not resolved. */
int ma_formats_read_settings(const char *text,
                             size_t len,
                             struct ma_settings *ret,
                             struct ma_err *err);

enum ma_record_kind {
    MA_RECORD_HEADER,
    MA_RECORD_CYCLE,
    MA_RECORD_OUTCOME,
};
#define MA_RECORD_TEXT_MAX 128
struct ma_record_amount { /* bytes of one row; negative: consumed */
    struct ma_row row;
    int64_t bytes;
};
struct ma_record_header {
    char memarb[MA_RECORD_TEXT_MAX]; /* version */
    char host[MA_RECORD_TEXT_MAX];   /* "": not said */
    uint64_t started_realtime_usec;  /* 0: not said */
    struct ma_settings settings;
};
struct ma_record_cycle {
    struct ma_snapshot_doc *snapshot; /* owned by the line */
    struct ma_state state_before;     /* its guest table is owned by the line */
    void *state_memory;
    char policy[MA_POLICY_NAME_MAX]; /* as the plan says; "": it does not */
    char first_uuid[MA_UUID_MAX];    /* of its first action; "": of no guest, or there is none */
    /* The plan and the trims as they stand in the line, byte for byte: borrowed from `text` of the read call.
     * trims NULL: none. */
    const char *plan_text;
    size_t plan_len;
    const char *trims_text;
    size_t trims_len;
};
struct ma_record_outcome {
    enum ma_action action;
    char uuid[MA_UUID_MAX]; /* "": an action of the host */
    unsigned result;        /* enum ma_outcome_result of actuator.h */
    uint64_t took_usec;
    struct ma_record_amount predicted[MA_ROWS_MAX];
    size_t n_predicted;
    struct ma_record_amount measured[MA_ROWS_MAX];
    size_t n_measured;
};
struct ma_record_line {
    enum ma_record_kind kind;
    uint64_t seq;           /* cycle, outcome */
    uint64_t realtime_usec; /* cycle, outcome; 0: not said */
    union {
        struct ma_record_header header;
        struct ma_record_cycle cycle;
        struct ma_record_outcome outcome;
    };
};
void ma_record_line_free(struct ma_record_line *line); /* NULL is fine */
MA_DEFINE_AUTOPTR(ma_record_line, ma_record_line_free);

/* One line of a record (urn:memarb:record:1), without or with its newline. `spare_guests`: room in the state's
 * table beyond the guests that it has and those of the snapshot (0 is enough to decide on the snapshot). `text`
 * must outlive *ret. Ownership of *ret goes to the caller. */
int ma_formats_read_record_line(const char *text,
                                size_t len,
                                size_t spare_guests,
                                struct ma_record_line **ret,
                                struct ma_err *err);
