/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints random snapshots, plans, states and record lines, one "KIND JSON" a line, for schema-check.py; reads every
 * record line back on the way. */
#include "actuator.h"
#include "bytes.h"
#include "formats.h"
#include "json-write.h"
#include "random-snapshot.h"

#define TEXT_MAX (4U << 20)
#define ROUNDS   60

static uint64_t seed = 20280;
static char *text;

static enum ma_reason random_reason(void) {
    return (enum ma_reason) tap_below(&seed, MA_REASON_COUNT);
}

static void random_amounts(struct ma_amounts *amounts, size_t n_rows, bool is_signed) {
    for (size_t i = 0; i < n_rows; i++) {
        int64_t v = tap_below(&seed, 2) == 0 ? 0 : (int64_t) tap_below(&seed, 1U << 24);
        amounts->mib[i] = is_signed && tap_below(&seed, 3) == 0 ? -v : v;
    }
}

static void random_rows(struct ma_plan *plan) {
    static const enum ma_row_kind kinds[] = {MA_ROW_RAM, MA_ROW_SWAP, MA_ROW_PIN, MA_ROW_NODE,
                                             MA_ROW_HUGEPAGES_NODE};
    plan->n_rows = 1 + tap_below(&seed, MA_ROWS_MAX);
    for (size_t i = 0; i < plan->n_rows; i++) {
        plan->rows[i] = (struct ma_row){.kind = kinds[i % 5],
                                        .node = (uint16_t) i,
                                        .within_ms = i < 5 ? 0 : (uint32_t) (i * 100)};
        plan->row_pressure[i] = (enum ma_pressure) tap_below(&seed, MA_PRESSURE_COUNT);
        plan->measured_deficit_bytes[i] = tap_below(&seed, 2) * tap_below(&seed, MA_GIB);
    }
}

static void random_candidate(struct ma_plan *plan, const struct ma_snapshot *s, uint32_t guest) {
    struct ma_candidate *c = &plan->candidates[plan->n_candidates++];
    c->guest = guest;
    c->is_eligible = tap_below(&seed, 2) == 0;
    c->excluded_because = c->is_eligible ? MA_REASON_NONE : random_reason();
    c->has_impact = tap_below(&seed, 4) > 0;
    ma_impact_score(&s->guests[guest], &c->impact);
    c->first_option = (uint32_t) plan->n_options;
    for (c->n_options = 0; c->n_options < tap_below(&seed, 5); c->n_options++) {
        struct ma_option *o = ma_plan_add_option(plan);
        CHECK(o != NULL);
        o->n_steps = 1 + (unsigned) tap_below(&seed, MA_OPTION_STEPS_MAX);
        for (unsigned k = 0; k < o->n_steps; k++) {
            o->steps[k].action = (enum ma_action) tap_below(&seed, MA_ACTION_OPTION_COUNT);
            o->steps[k].has_to = tap_below(&seed, 2) == 0;
            o->steps[k].to_bytes = tap_below(&seed, MA_TIB);
        }
        random_amounts(&o->frees, plan->n_rows, true);
        o->impact = tap_below(&seed, MA_TIB);
        o->is_victim = tap_below(&seed, 2) == 0;
    }
}

static void random_action(struct ma_plan *plan, const struct ma_snapshot *s) {
    struct ma_plan_action *a = ma_plan_add_action(plan);
    struct ma_trim *trim = ma_plan_add_trim(plan);
    CHECK(a != NULL && trim != NULL);
    a->has_guest = s->n_guests > 0 && tap_below(&seed, 5) > 0;
    a->guest = a->has_guest ? (uint32_t) tap_below(&seed, s->n_guests) : 0;
    a->action = (enum ma_action) tap_below(&seed, MA_ACTION_COUNT);
    a->has_from_to = tap_below(&seed, 2) == 0;
    a->from_bytes = tap_below(&seed, MA_TIB);
    a->has_frees = tap_below(&seed, 2) == 0;
    random_amounts(&a->frees, plan->n_rows, true);
    a->reason = random_reason();
    a->deadline_usec = tap_below(&seed, 2) * 5000;
    *trim = (struct ma_trim){.has_guest = a->has_guest,
                             .guest = a->guest,
                             .action = a->action,
                             .reason = random_reason(),
                             .proposed_bytes = tap_below(&seed, 2) * MA_GIB};
}

static void random_plan(struct ma_plan *plan, const struct ma_snapshot *s) {
    const char *problem = NULL;
    plan->policy = "balanced";
    plan->pressure = (enum ma_pressure) tap_below(&seed, MA_PRESSURE_COUNT);
    plan->settings = s->settings;
    CHECK(ma_settings_resolve(&plan->settings, s->host.total_bytes, &problem) == 0);
    random_rows(plan);
    random_amounts(&plan->deficits, plan->n_rows, false);
    random_amounts(&plan->uncovered, plan->n_rows, false);
    random_amounts(&plan->uncovered_without_victims, plan->n_rows, false);
    plan->has_certificate = tap_below(&seed, 2) == 0;
    plan->certificate.total_impact = tap_below(&seed, MA_TIB);
    for (uint32_t i = 0; i < s->n_guests; i++) {
        random_candidate(plan, s, i);
    }
    for (unsigned i = 0; i < 4; i++) {
        random_action(plan, s);
    }
}

static void print(const char *kind, const struct ma_json *json) {
    CHECK(!json->is_truncated && json->depth == 0);
    (void) printf("%s %s\n", kind, json->buf);
}

static struct ma_record_line *read_line(const struct ma_json *json, enum ma_record_kind kind) {
    struct ma_record_line *line = NULL;
    struct ma_err err = {0};
    if (ma_formats_read_record_line(json->buf, json->len, 3, &line, &err) < 0) {
        TAP_FAIL("%s\n%s", err.message, json->buf);
    }
    CHECK(line->kind == kind);
    return line;
}

static void
print_cycle(const struct ma_snapshot *s, const struct ma_plan *plan, const struct ma_state *state) {
    struct ma_json json;
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "seq", 17);
    ma_json_u64(&json, "realtime_usec", 1700000000000000);
    ma_json_snapshot(&json, "snapshot", s);
    ma_json_state(&json, "state_before", state);
    size_t plan_at = json.len + strlen(",\"plan\":");
    ma_json_plan(&json, "plan", plan, s);
    size_t plan_len = json.len - plan_at;
    ma_json_trims(&json, "trims", plan, s);
    ma_json_end_object(&json);
    print("record", &json);
    struct ma_record_line *line = read_line(&json, MA_RECORD_CYCLE);
    CHECK_U64(line->seq, 17);
    CHECK(line->cycle.plan_text == text + plan_at && line->cycle.plan_len == plan_len);
    CHECK(line->cycle.trims_len > 2 && line->cycle.trims_text[line->cycle.trims_len - 1] == ']');
    CHECK_U64(line->cycle.state_before.n_guests, state->n_guests);
    CHECK(line->cycle.state_before.max_guests >= s->n_guests + 3);
    ma_record_line_free(line);
}

static void print_header(const struct ma_settings *settings) {
    struct ma_json json;
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "record", 1);
    ma_json_string(&json, "memarb", "0.1.0");
    ma_json_string(&json, "host", "h");
    ma_json_settings(&json, "settings", settings);
    ma_json_end_object(&json);
    print("record", &json);
    struct ma_record_line *line = read_line(&json, MA_RECORD_HEADER);
    CHECK_STR(line->header.memarb, "0.1.0");
    CHECK_U64(line->header.settings.soft_watermark_bytes, settings->soft_watermark_bytes);
    CHECK_U64(line->header.settings.pause_max_usec, settings->pause_max_usec);
    ma_record_line_free(line);
}

static void print_outcome(void) {
    enum ma_outcome_result result = (enum ma_outcome_result) tap_below(&seed, MA_OUTCOME_COUNT);
    struct ma_json json;
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "seq", 18);
    ma_json_object(&json, "outcome");
    ma_json_string(&json, "action", "kill");
    ma_json_string(&json, "guest", "some-uuid");
    ma_json_string(&json, "result", ma_outcome_name(result));
    ma_json_object(&json, "measured");
    ma_json_i64(&json, "ram", -5);
    ma_json_i64(&json, "node1-within-500ms", 7);
    ma_json_end_object(&json);
    ma_json_u64(&json, "took_usec", 9000);
    ma_json_end_object(&json);
    ma_json_end_object(&json);
    print("record", &json);
    struct ma_record_line *line = read_line(&json, MA_RECORD_OUTCOME);
    CHECK(line->outcome.action == MA_ACTION_KILL && line->outcome.result == (unsigned) result);
    CHECK_STR(line->outcome.uuid, "some-uuid");
    CHECK_U64(line->outcome.n_measured, 2);
    CHECK_I64(line->outcome.measured[0].bytes, -5);
    CHECK_U64(line->outcome.measured[1].row.within_ms, 500);
    ma_record_line_free(line);
}

static void round_of(size_t n_guests) {
    static struct ma_plan plan;
    static struct ma_state state;
    struct random_snapshot *r = random_snapshot_create(&seed, n_guests);
    void *plan_memory = calloc(1, ma_plan_memory_size(n_guests + 4));
    void *state_memory = calloc(1, ma_state_memory_size(n_guests + 4));
    struct ma_json json;
    CHECK(plan_memory != NULL && state_memory != NULL);
    ma_plan_init(&plan, plan_memory, n_guests + 4);
    ma_state_init(&state, state_memory, n_guests + 4, 5);
    for (size_t i = 0; i < n_guests; i++) {
        CHECK(ma_state_get(&state, r->guests[i].uuid) != NULL);
    }
    random_plan(&plan, &r->snapshot);
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_snapshot(&json, NULL, &r->snapshot);
    print("snapshot", &json);
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_plan(&json, NULL, &plan, &r->snapshot);
    print("plan", &json);
    print_cycle(&r->snapshot, &plan, &state);
    print_header(&plan.settings);
    print_outcome();
    free(plan_memory);
    free(state_memory);
    random_snapshot_free(r);
}

int main(void) {
    text = malloc(TEXT_MAX);
    CHECK(text != NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        round_of(i % 9);
    }
    free(text);
    return 0;
}
