/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "cli.h"
#include "walk.h"

const char *report_when(char text[static REPORT_WHEN_MAX], uint64_t realtime_usec) {
    time_t seconds = (time_t) (realtime_usec / MA_USEC_PER_SEC);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL ||
        strftime(text, REPORT_WHEN_MAX, "%F %T", &parts) == 0) {
        (void) snprintf(text, REPORT_WHEN_MAX, "%" PRIu64, realtime_usec);
    }
    return text;
}

/* What fits; a snprintf() into the rest of it. */
static void append(char *text, size_t size, const char *a, const char *b) {
    size_t at = strlen(text);
    (void) snprintf(text + at, size - at, "%s%s", a, b);
}

static const char *signed_bytes(char text[static MA_FORMAT_MAX + 1], int64_t bytes) {
    uint64_t size = bytes < 0 ? (uint64_t) 0 - (uint64_t) bytes : (uint64_t) bytes;
    char plain[MA_FORMAT_MAX];
    (void) snprintf(text, MA_FORMAT_MAX + 1, "%s%s", bytes < 0 ? "-" : "",
                    ma_format_bytes(plain, size));
    return text;
}

const char *report_amounts(char *text, size_t size, const json_t *amounts) {
    const char *row;
    json_t *value;
    char bytes[MA_FORMAT_MAX + 1];
    text[0] = '\0';
    json_object_foreach((json_t *) amounts, row, value) {
        append(text, size, text[0] != '\0' ? ", " : "", row);
        append(text, size, " ", signed_bytes(bytes, json_integer_value(value)));
    }
    return text;
}

const char *report_reason(const json_t *object, const char *member) {
    const char *code = ma_cli_text(object, member);
    const char *text = ma_cli_reason_text(code);
    return text != NULL ? text : code;
}

const char *report_action_words(char *text, size_t size, const json_t *action) {
    char from[MA_FORMAT_MAX + 1];
    char to[MA_FORMAT_MAX + 1];
    (void) snprintf(text, size, "%.40s", ma_cli_text(action, "action"));
    if (ma_cli_has(action, "from_bytes") && ma_cli_has(action, "to_bytes")) {
        append(text, size, " ", signed_bytes(from, ma_cli_number(action, "from_bytes")));
        append(text, size, " to ", signed_bytes(to, ma_cli_number(action, "to_bytes")));
    } else if (ma_cli_has(action, "to_bytes")) {
        append(text, size, " ", signed_bytes(to, ma_cli_number(action, "to_bytes")));
    }
    return text;
}

/* The lanes of the chart, the heaviest first. */
static const char *const kinds[] = {"victim", "pause", "shrink", "grow", "planned"};

static unsigned kind_of(const json_t *action) {
    enum ma_action what = report_action_of(action);
    bool is_growing = ma_cli_number(action, "to_bytes") > ma_cli_number(action, "from_bytes") &&
                      (what == MA_ACTION_BALLOON || what == MA_ACTION_RESIZE);
    if (!ma_cli_bool(action, "armed")) {
        return 4;
    }
    if (what == MA_ACTION_PAUSE) {
        return 1;
    }
    if (ma_action_is_victim(what)) {
        return 0;
    }
    return is_growing || what == MA_ACTION_RESUME ? 3 : 2;
}

const char *report_kind_of(const struct report_cycle *cycle) {
    const json_t *action;
    size_t i;
    unsigned heaviest = 4;
    json_array_foreach(json_object_get(cycle->plan, "actions"), i, action) {
        heaviest = (unsigned) ma_min_u64(heaviest, kind_of(action));
    }
    return kinds[heaviest];
}

/* Guests are named while they are few. */
#define NAMED 3U

const char *report_summary(char *text, size_t size, const struct report_cycle *cycle) {
    const json_t *actions = json_object_get(cycle->plan, "actions");
    const json_t *action;
    size_t i;
    size_t n = json_array_size(actions);
    char words[128];
    text[0] = '\0';
    json_array_foreach(actions, i, action) {
        if (i == NAMED) {
            (void) snprintf(words, sizeof(words), "; and %zu more", n - NAMED);
            append(text, size, words, "");
            break;
        }
        append(text, size, i > 0 ? "; " : "", "");
        if (ma_cli_has(action, "guest")) {
            (void) snprintf(words, sizeof(words), "%.64s: ", ma_cli_text(action, "name"));
            append(text, size, words, "");
        }
        append(text, size, report_action_words(words, sizeof(words), action), "");
        append(text, size, ma_cli_bool(action, "armed") ? "" : " (not taken)", "");
    }
    return text;
}
