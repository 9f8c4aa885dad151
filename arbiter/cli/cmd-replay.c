/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-replay.c - memarbctl replay FILE: what memarbd decided, decided again. Line by line; a record of any length
 * takes the memory of its longest line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"
#include "decide.h"
#include "formats.h"
#include "json-write.h"
#include "table.h"

#define SPARE_GUESTS     64U
#define JSON_FRAME_BYTES 16384U
#define JSON_GUEST_BYTES 4096U
#define JSON_MAX_BYTES   (UINT64_C(1) << 30)

struct tally {
    uint64_t n_actions[MA_ACTION_COUNT];
    uint64_t n_victims;
    uint64_t impact; /* of the victims */
};

struct replay {
    const char *path;
    const struct ma_policy *policy; /* NULL: as recorded */
    bool is_json;
    bool has_header;
    struct ma_settings settings;
    uint64_t line;
    uint64_t n_cycles;
    uint64_t n_identical;
    uint64_t n_broken;
    uint64_t n_outcomes;
    uint64_t first_different_line;
    uint64_t first_different_seq;
    size_t first_different_byte;
    struct tally recorded;
    struct tally other;
    /* memory of one decision, grown as needed */
    void *plan_memory;
    void *scratch_memory;
    size_t max_guests;
    char *json;
    size_t json_size;
};

static int usage(void) {
    return ma_cli_fail(MA_EXIT_USAGE, "usage: memarbctl replay FILE [--policy NAME] [--json]");
}

static int parse(int argc, char **argv, struct replay *replay) {
    static const struct option long_options[] = {
        {"policy", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    int c;

    optind = 0; /* another command line was read before */
    while ((c = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
        if (c == 'p') {
            replay->policy = ma_policy_find(optarg);
            if (replay->policy == NULL) {
                return ma_cli_fail(MA_EXIT_USAGE, "there is no policy \"%s\"", optarg);
            }
        } else if (c == 'j') {
            replay->is_json = true;
        } else {
            return usage();
        }
    }
    if (optind + 1 != argc) {
        return usage();
    }
    replay->path = argv[optind];
    return MA_EXIT_OK;
}

static int make_room(struct replay *replay, size_t n_guests) {
    size_t capacity = n_guests + SPARE_GUESTS;
    void *plan_memory;
    void *scratch_memory;

    if (n_guests < replay->max_guests) { /* 0 guests need their tables too */
        return 0;
    }
    plan_memory = malloc(ma_plan_memory_size(capacity));
    scratch_memory = malloc(ma_scratch_size(capacity));
    if (plan_memory == NULL || scratch_memory == NULL) {
        free(plan_memory);
        free(scratch_memory);
        return -ENOMEM;
    }
    free(replay->plan_memory);
    free(replay->scratch_memory);
    replay->plan_memory = plan_memory;
    replay->scratch_memory = scratch_memory;
    replay->max_guests = capacity;
    return 0;
}

static int write_plan(struct replay *replay,
                      const struct ma_plan *plan,
                      const struct ma_snapshot *snapshot,
                      struct ma_json *json) {
    size_t size = JSON_FRAME_BYTES + JSON_GUEST_BYTES * snapshot->n_guests;

    for (size = ma_max_u64(size, replay->json_size); size <= JSON_MAX_BYTES; size *= 2) {
        if (size > replay->json_size) {
            char *larger = realloc(replay->json, size);

            if (larger == NULL) {
                return -ENOMEM;
            }
            replay->json = larger;
            replay->json_size = size;
        }
        ma_json_init(json, replay->json, replay->json_size);
        ma_json_plan(json, NULL, plan, snapshot);
        if (!json->is_truncated) {
            return 0;
        }
    }
    return -ERANGE;
}

static void count(struct tally *tally, const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        const struct ma_plan_action *action = &plan->actions[k];

        tally->n_actions[action->action]++;
        if (ma_action_is_victim(action->action)) {
            tally->n_victims++;
            tally->impact += action->impact;
        }
    }
}

static void
compare(struct replay *replay, const struct ma_record_line *line, const char *text, size_t len) {
    const struct ma_record_cycle *cycle = &line->cycle;
    size_t at = 0;

    if (len == cycle->plan_len && memcmp(text, cycle->plan_text, len) == 0) {
        replay->n_identical++;
        return;
    }
    if (replay->first_different_line != 0) {
        return;
    }
    while (at < len && at < cycle->plan_len && text[at] == cycle->plan_text[at]) {
        at++;
    }
    replay->first_different_line = replay->line;
    replay->first_different_seq = line->seq;
    replay->first_different_byte = at;
    if (!replay->is_json) {
        size_t from = at > 40 ? at - 40 : 0;

        (void) printf("%s:%llu: seq %llu differs at byte %zu\n  recorded: ...%.*s...\n"
                      "  decided:  ...%.*s...\n",
                      replay->path, (unsigned long long) replay->line,
                      (unsigned long long) line->seq, at,
                      (int) ma_min_u64(120, cycle->plan_len - from), cycle->plan_text + from,
                      (int) ma_min_u64(120, len - from), text + from);
    }
}

/* By one policy on a copy of the line's memory: the state is left as it was. */
static int decide(struct replay *replay,
                  struct ma_record_cycle *cycle,
                  const struct ma_policy *policy,
                  struct ma_state *state,
                  struct ma_plan *ret) {
    struct ma_decide_options options = {.is_dry_run = true}; /* nothing comes after this line */
    struct ma_scratch scratch = {.memory = replay->scratch_memory,
                                 .bytes = ma_scratch_size(replay->max_guests)};

    ma_plan_init(ret, replay->plan_memory, replay->max_guests);
    return ma_decide(&cycle->snapshot->snapshot, policy, &options, state, scratch, ret);
}

static int
replay_other(struct replay *replay, struct ma_record_cycle *cycle, struct ma_plan *plan) {
    size_t n = cycle->state_before.max_guests;
    ma_auto_free void *memory = malloc(ma_state_memory_size(n));
    struct ma_state state;
    int r;

    if (memory == NULL) {
        return -ENOMEM;
    }
    ma_state_init(&state, memory, n, 0);
    r = ma_state_copy(&state, &cycle->state_before);
    if (r == 0) {
        r = decide(replay, cycle, replay->policy, &state, plan);
    }
    if (r == 0) {
        count(&replay->other, plan);
    }
    return r;
}

/* What memarbd gave back because it was told to, or stopped: no policy decides that. False: something else. */
static bool
decide_release(struct replay *replay, struct ma_record_cycle *cycle, struct ma_plan *ret) {
    const struct ma_snapshot *snapshot = &cycle->snapshot->snapshot;
    size_t at = ma_snapshot_find(snapshot, cycle->first_uuid);

    ma_plan_init(ret, replay->plan_memory, replay->max_guests);
    if (strcmp(cycle->policy, MA_RELEASE_POLICY) == 0) {
        ma_decide_release(snapshot, &cycle->state_before, ret);
    } else if (strcmp(cycle->policy, MA_RELEASE_GUEST_POLICY) == 0 && at != SIZE_MAX) {
        ma_decide_release_guest(snapshot, (uint32_t) at, &cycle->state_before, ret);
    } else {
        return false;
    }
    return true;
}

static int decide_again(struct replay *replay,
                        struct ma_record_cycle *cycle,
                        const struct ma_policy *policy,
                        struct ma_plan *ret) {
    int r = 0;

    if (decide_release(replay, cycle, ret)) {
        return 0;
    }
    if (replay->policy != NULL) {
        r = replay_other(replay, cycle, ret);
    }
    return r < 0 ? r : decide(replay, cycle, policy, &cycle->state_before, ret);
}

static int replay_cycle(struct replay *replay, struct ma_record_line *line, struct ma_err *err) {
    struct ma_record_cycle *cycle = &line->cycle;
    struct ma_snapshot *snapshot = &cycle->snapshot->snapshot;
    struct ma_settings settings = replay->settings;
    const struct ma_policy *policy;
    const char *problem = NULL;
    struct ma_json json;
    struct ma_plan plan;
    int r;

    ma_settings_adopt_contract(&settings, &snapshot->settings);
    if (ma_settings_resolve(&settings, snapshot->host.total_bytes, &problem) < 0) {
        return ma_err_set(err, -EINVAL, "settings: %s", problem);
    }
    snapshot->settings = settings;
    policy = ma_policy_find(settings.policy);
    if (policy == NULL) {
        return ma_err_set(err, -EINVAL, "there is no policy \"%s\" here", settings.policy);
    }
    r = make_room(replay, snapshot->n_guests);
    if (r == 0) {
        r = decide_again(replay, cycle, policy, &plan);
    }
    if (r == 0) {
        r = write_plan(replay, &plan, snapshot, &json);
    }
    if (r < 0) {
        return ma_err_set(err, r, "cannot decide: %s", strerror(-r));
    }
    count(&replay->recorded, &plan);
    replay->n_cycles++;
    compare(replay, line, json.buf, json.len);
    return 0;
}

static int replay_line(struct replay *replay, const char *text, size_t len, struct ma_err *err) {
    ma_autoptr(ma_record_line) line = NULL;
    int r = ma_formats_read_record_line(text, len, SPARE_GUESTS, &line, err);

    if (r < 0) {
        return r;
    }
    if (line->kind == MA_RECORD_HEADER) {
        replay->has_header = true;
        replay->settings = line->header.settings;
        return 0;
    }
    if (line->kind == MA_RECORD_OUTCOME) {
        replay->n_outcomes++;
        return 0;
    }
    return replay->has_header ? replay_cycle(replay, line, err)
                              : ma_err_set(err, -EINVAL, "no header stands before it");
}

static int replay_stream(struct replay *replay, FILE *file) {
    ma_auto_free char *text = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&text, &size, file)) >= 0) {
        struct ma_err err = {0};

        replay->line++;
        if (len == 0 || (len == 1 && text[0] == '\n')) {
            continue;
        }
        if (replay_line(replay, text, (size_t) len, &err) < 0) {
            replay->n_broken++;
            (void) ma_cli_fail(MA_EXIT_ERROR, "%s:%llu: %s; left out", replay->path,
                               (unsigned long long) replay->line, err.message);
        }
    }
    return ferror(file) ? ma_cli_fail(MA_EXIT_ERROR, "%s: %s", replay->path, strerror(errno))
                        : MA_EXIT_OK;
}

static void print_table(const struct replay *replay) {
    struct ma_table table;

    ma_table_init(&table, "ACTION +RECORDED +OTHER", false);
    for (unsigned action = 0; action < MA_ACTION_COUNT; action++) {
        if (replay->recorded.n_actions[action] + replay->other.n_actions[action] > 0) {
            ma_table_add(&table, MA_COLOR_NONE, ma_action_name((enum ma_action) action));
            ma_table_add_number(&table, MA_COLOR_NONE, true,
                                (int64_t) replay->recorded.n_actions[action]);
            ma_table_add_number(&table, MA_COLOR_NONE, true,
                                (int64_t) replay->other.n_actions[action]);
        }
    }
    ma_table_add(&table, MA_COLOR_NONE, "victims");
    ma_table_add_number(&table, MA_COLOR_NONE, true, (int64_t) replay->recorded.n_victims);
    ma_table_add_number(&table, MA_COLOR_NONE, true, (int64_t) replay->other.n_victims);
    ma_table_add(&table, MA_COLOR_NONE, "their impact");
    ma_table_add_number(&table, MA_COLOR_NONE, true, (int64_t) replay->recorded.impact / 1000000);
    ma_table_add_number(&table, MA_COLOR_NONE, true, (int64_t) replay->other.impact / 1000000);
    (void) printf(
        "Planned in these cycles, as recorded and by %s (each from the recorded memory):\n",
        replay->policy->name);
    ma_table_print(&table, 2);
}

static json_t *tally_json(const char *policy, const struct tally *tally) {
    json_t *actions = json_object();

    for (unsigned action = 0; action < MA_ACTION_COUNT; action++) {
        if (tally->n_actions[action] > 0) {
            (void) json_object_set_new(actions, ma_action_name((enum ma_action) action),
                                       json_integer((json_int_t) tally->n_actions[action]));
        }
    }
    return json_pack("{s:s, s:o, s:I, s:I}", "policy", policy, "actions", actions, "victims",
                     (json_int_t) tally->n_victims, "impact_micropoints",
                     (json_int_t) tally->impact);
}

static int print_json(const struct replay *replay) {
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I}", "cycles", (json_int_t) replay->n_cycles, "identical",
                  (json_int_t) replay->n_identical, "outcomes", (json_int_t) replay->n_outcomes,
                  "broken", (json_int_t) replay->n_broken);
    int result;

    if (object != NULL && replay->first_different_line != 0) {
        (void) json_object_set_new(object, "first_difference",
                                   json_pack("{s:I, s:I, s:I}", "line",
                                             (json_int_t) replay->first_different_line, "seq",
                                             (json_int_t) replay->first_different_seq, "byte",
                                             (json_int_t) replay->first_different_byte));
    }
    if (object != NULL && replay->policy != NULL) {
        (void) json_object_set_new(object, "recorded", tally_json("recorded", &replay->recorded));
        (void) json_object_set_new(object, "other",
                                   tally_json(replay->policy->name, &replay->other));
    }
    result = object != NULL && json_dumpf(object, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF
                 ? MA_EXIT_OK
                 : ma_cli_fail(MA_EXIT_ERROR, "cannot write the result");
    json_decref(object);
    return result;
}

static int report(const struct replay *replay) {
    int result = MA_EXIT_OK;

    if (replay->is_json) {
        result = print_json(replay);
    } else {
        (void) printf(
            "%llu cycles, %llu of them identical to the byte, %llu outcomes, %llu lines "
            "left out\n",
            (unsigned long long) replay->n_cycles, (unsigned long long) replay->n_identical,
            (unsigned long long) replay->n_outcomes, (unsigned long long) replay->n_broken);
        if (replay->policy != NULL) {
            print_table(replay);
        }
    }
    if (fflush(stdout) != 0) {
        return MA_EXIT_ERROR;
    }
    return replay->n_broken > 0 || replay->n_identical < replay->n_cycles ? MA_EXIT_ERROR : result;
}

int ma_cmd_replay(int argc, char **argv) {
    struct replay replay = {0};
    int result = parse(argc, argv, &replay);

    if (result == MA_EXIT_OK) {
        FILE *file = strcmp(replay.path, "-") == 0 ? stdin : fopen(replay.path, "re");

        result = file == NULL ? ma_cli_fail(MA_EXIT_ERROR, "%s: %s", replay.path, strerror(errno))
                              : replay_stream(&replay, file);
        if (file != NULL && file != stdin) {
            (void) fclose(file); /* it was only read */
        }
        if (result == MA_EXIT_OK) {
            result = report(&replay);
        }
    }
    free(replay.plan_memory);
    free(replay.scratch_memory);
    free(replay.json);
    return result;
}
