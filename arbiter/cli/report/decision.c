/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decision.h"

#include <inttypes.h>
#include <stdlib.h>

#include "actuator.h"
#include "bytes.h"
#include "cli.h"
#include "escape.h"
#include "returns.h"
#include "walk.h"
#include "words.h"

/* Impacts are in millionths, terms in thousandths of a point. */
static void write_points(FILE *file, int64_t value, int64_t unit) {
    (void) fprintf(file, "%" PRId64 ".%03" PRId64, value / unit, value % unit * 1000 / unit);
}

static void cell(FILE *file, const char *class_name, const char *text) {
    (void) fprintf(file, "<td%s%s%s>", class_name[0] != '\0' ? " class=\"" : "", class_name,
                   class_name[0] != '\0' ? "\"" : "");
    report_html(file, text);
    (void) fputs("</td>", file);
}

static void write_result(FILE *file,
                         struct report_data *data,
                         const struct report_cycle *cycle,
                         const json_t *action,
                         const json_t *withheld) {
    char took[MA_FORMAT_MAX];
    const struct report_outcome *outcome;
    if (!ma_cli_bool(action, "armed")) {
        (void) fputs("<td class=\"dim\">planned, not taken", file);
        if (withheld != NULL) {
            (void) fputs(": ", file);
            report_html(file, report_reason(withheld, "reason"));
        }
        (void) fputs("</td>", file);
        return;
    }
    outcome = report_outcome_of(data, ma_cli_text(action, "guest"), report_action_of(action),
                                cycle->realtime_usec);
    if (outcome == NULL) {
        cell(file, "dim", "no outcome in the record");
        return;
    }
    (void) fputs("<td>", file);
    report_html(file, ma_outcome_name((enum ma_outcome_result) outcome->result));
    if (outcome->took_usec > 0) {
        (void) fprintf(file, " after %s", ma_format_usec(took, outcome->took_usec));
    }
    if (outcome->by[0] != '\0') {
        (void) fputs(", by ", file);
        report_html(file, outcome->by);
    }
    (void) fputs("</td>", file);
}

static void write_return(FILE *file,
                         const struct report_data *data,
                         const struct report_cycle *cycle,
                         const json_t *action) {
    const struct report_return *back =
        ma_cli_bool(action, "armed")
            ? report_return_of(data, ma_cli_text(action, "guest"), cycle->realtime_usec)
            : NULL;
    char returned[MA_FORMAT_MAX];
    char predicted[MA_FORMAT_MAX];
    if (back == NULL) {
        cell(file, "dim", "");
    } else if (back->action != report_action_of(action)) {
        cell(file, "dim", "together with the other step");
    } else if (!back->is_known) {
        cell(file, "dim", "no later figure in the record");
    } else {
        (void) fprintf(file, "<td>%s of %s</td>", ma_format_bytes(returned, back->returned_bytes),
                       ma_format_bytes(predicted, back->predicted_bytes));
    }
}

static void write_actions(FILE *file, struct report_data *data, const struct report_cycle *cycle) {
    const json_t *action;
    size_t i;
    size_t at = 0;
    char text[256];
    (void) fputs("<div class=\"scroll\"><table><thead><tr><th>Guest<th>Action<th>Because<th>Frees"
                 "<th class=\"number\">Impact<th>Outcome<th>Came back</tr></thead><tbody>\n",
                 file);
    json_array_foreach(json_object_get(cycle->plan, "actions"), i, action) {
        (void) fputs("<tr>", file);
        cell(file, "name", ma_cli_has(action, "guest") ? ma_cli_text(action, "name") : "the host");
        cell(file, "chosen", report_action_words(text, sizeof(text), action));
        cell(file, "", report_reason(action, "reason"));
        cell(file, "", report_amounts(text, sizeof(text), json_object_get(action, "frees")));
        (void) fputs("<td class=\"number\">", file);
        write_points(file, ma_cli_number(action, "impact"), 1000000);
        (void) fputs("</td>", file);
        write_result(file, data, cycle, action,
                     ma_cli_bool(action, "armed") ? NULL : ma_cli_next_withheld(cycle->trims, &at));
        write_return(file, data, cycle, action);
        (void) fputs("</tr>\n", file);
    }
    (void) fputs("</tbody></table></div>\n", file);
}

/* What the guard cut from the policy's proposal. */
static void write_trims(FILE *file, const struct report_cycle *cycle) {
    const json_t *trim;
    size_t i;
    size_t n = 0;
    char bytes[MA_FORMAT_MAX];
    json_array_foreach(cycle->trims, i, trim) {
        if (ma_cli_bool(trim, "withheld")) {
            continue; /* stands beside its action */
        }
        if (n++ == 0) {
            (void) fputs("<div class=\"scroll\"><table class=\"trims\"><thead><tr><th>Trimmed"
                         "<th>Action<th class=\"number\">Proposed<th class=\"number\">Granted"
                         "<th>Because</tr></thead><tbody>\n",
                         file);
        }
        (void) fputs("<tr>", file);
        cell(file, "name", ma_cli_has(trim, "guest") ? ma_cli_text(trim, "name") : "the host");
        cell(file, "", ma_cli_text(trim, "action"));
        for (unsigned k = 0; k < 2; k++) {
            const char *member = k == 0 ? "proposed_bytes" : "granted_bytes";
            cell(file, "number",
                 ma_cli_has(trim, member)
                     ? ma_format_bytes(bytes, (uint64_t) ma_cli_number(trim, member))
                     : "");
        }
        cell(file, "", report_reason(trim, "reason"));
        (void) fputs("</tr>\n", file);
    }
    (void) fputs(n > 0 ? "</tbody></table></div>\n" : "", file);
}

static bool is_chosen(const json_t *candidate) {
    const json_t *option;
    size_t i;
    json_array_foreach(json_object_get(candidate, "options"), i, option) {
        if (ma_cli_bool(option, "chosen")) {
            return true;
        }
    }
    return false;
}

/* Chosen ones first, then who may be chosen by impact, then who may not. */
static int compare_candidates(const void *a, const void *b) {
    const json_t *p = *(const json_t *const *) a;
    const json_t *q = *(const json_t *const *) b;
    int by_choice = (int) is_chosen(q) - (int) is_chosen(p);
    int by_right =
        (int) !ma_cli_has(q, "excluded_because") - (int) !ma_cli_has(p, "excluded_because");
    int64_t impact_p = ma_cli_number(p, "impact");
    int64_t impact_q = ma_cli_number(q, "impact");
    int by_impact = (impact_p > impact_q) - (impact_p < impact_q);
    return by_choice != 0 ? by_choice : by_right != 0 ? by_right : by_impact;
}

static void write_terms(FILE *file, const json_t *candidate) {
    const char *name;
    json_t *value;
    bool is_first = true;
    (void) fputs("<td>", file);
    json_object_foreach(json_object_get(candidate, "terms"), name, value) {
        if (json_integer_value(value) != 0) {
            (void) fputs(is_first ? "" : " &#183; ", file);
            report_html(file, name);
            (void) fputs(is_first ? " &#215;" : " ", file); /* the weight comes first: a factor */
            write_points(file, json_integer_value(value), 1000);
            is_first = false;
        }
    }
    (void) fputs("</td>", file);
}

static void write_options(FILE *file, const json_t *candidate) {
    const json_t *option;
    const json_t *step;
    size_t i;
    size_t k;
    char text[256];
    (void) fputs("<td><ul class=\"options\">", file);
    json_array_foreach(json_object_get(candidate, "options"), i, option) {
        bool was_chosen = ma_cli_bool(option, "chosen");
        (void) fputs(was_chosen ? "<li class=\"chosen\">" : "<li>", file);
        json_array_foreach(json_object_get(option, "steps"), k, step) {
            (void) fputs(k > 0 ? " + " : "", file);
            report_html(file, report_action_words(text, sizeof(text), step));
        }
        (void) fputs(" frees ", file);
        report_html(file, report_amounts(text, sizeof(text), json_object_get(option, "frees")));
        (void) fputs(", impact ", file);
        write_points(file, ma_cli_number(option, "impact"), 1000000);
        (void) fputs(was_chosen ? ": chosen</li>" : "</li>", file);
    }
    (void) fputs("</ul></td>", file);
}

static void write_candidate(FILE *file, const json_t *candidate) {
    (void) fputs(is_chosen(candidate) ? "<tr class=\"chosen\">" : "<tr>", file);
    cell(file, "name", ma_cli_text(candidate, "name"));
    (void) fputs("<td class=\"number\">", file);
    if (ma_cli_has(candidate, "impact")) {
        write_points(file, ma_cli_number(candidate, "impact"), 1000000);
    }
    (void) fputs("</td>", file);
    cell(file, "",
         ma_cli_has(candidate, "excluded_because") ? report_reason(candidate, "excluded_because")
         : is_chosen(candidate)                    ? "chosen"
                                                   : "eligible");
    write_terms(file, candidate);
    write_options(file, candidate);
    (void) fputs("</tr>\n", file);
}

static void write_candidates(FILE *file, const json_t *plan) {
    const json_t *candidates = json_object_get(plan, "candidates");
    size_t n = json_array_size(candidates);
    size_t shown = n < REPORT_CANDIDATES_MAX ? n : REPORT_CANDIDATES_MAX;
    const json_t **sorted = calloc(n + 1, sizeof(*sorted));
    if (sorted == NULL || n == 0) {
        free((void *) sorted);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = json_array_get(candidates, i);
    }
    qsort((void *) sorted, n, sizeof(*sorted), compare_candidates);
    (void) fputs(
        "<div class=\"scroll\"><table class=\"candidates\"><thead><tr><th>Candidate"
        "<th class=\"number\">Impact<th>As a victim<th>Terms<th>Options</tr></thead><tbody>\n",
        file);
    for (size_t i = 0; i < shown; i++) {
        write_candidate(file, sorted[i]);
    }
    (void) fputs("</tbody></table></div>\n", file);
    if (shown < n) {
        (void) fprintf(file, "<p class=\"dim\">%zu more candidates are left out.</p>\n", n - shown);
    }
    free((void *) sorted);
}

static void write_need(FILE *file, const struct report_cycle *cycle) {
    char text[256];
    char bytes[MA_FORMAT_MAX];
    const json_t *certificate = json_object_get(cycle->plan, "certificate");
    (void) fprintf(file, "<p>%s available",
                   ma_format_bytes(bytes, cycle->snapshot->host.available_bytes));
    if (json_object_size(json_object_get(cycle->plan, "deficits")) > 0) {
        (void) fputs("; short of ", file);
        report_html(file,
                    report_amounts(text, sizeof(text), json_object_get(cycle->plan, "deficits")));
    }
    if (json_object_size(json_object_get(cycle->plan, "uncovered")) > 0) {
        (void) fputs("; nothing covers ", file);
        report_html(file,
                    report_amounts(text, sizeof(text), json_object_get(cycle->plan, "uncovered")));
    }
    if (json_object_size(json_object_get(cycle->plan, "uncovered_without_victims")) > 0) {
        (void) fputs("; gentle actions alone would leave ", file);
        report_html(file,
                    report_amounts(text, sizeof(text),
                                   json_object_get(cycle->plan, "uncovered_without_victims")));
    }
    if (certificate != NULL) {
        (void) fputs("; total impact ", file);
        write_points(file, ma_cli_number(certificate, "total_impact"), 1000000);
        (void) fputs(ma_cli_bool(certificate, "optimal") ? ", proven least" : ", at least ", file);
        if (!ma_cli_bool(certificate, "optimal")) {
            write_points(file, ma_cli_number(certificate, "lower_bound_impact"), 1000000);
        }
    }
    (void) fputs(".</p>\n", file);
}

void report_decision(FILE *file,
                     struct report_data *data,
                     const struct report_cycle *cycle,
                     const char *id) {
    char when[REPORT_WHEN_MAX];
    char text[512];
    const char *state = ma_pressure_name(cycle->pressure);
    static const char *const classes[REPORT_WEIGHTS] = {"planned", "gentle", "victim"};
    (void) fprintf(
        file,
        "<details class=\"decision %s\" id=\"%s\"><summary>%s <span class=\"state %s\">%s"
        "</span> ",
        classes[cycle->weight], id, report_when(when, cycle->realtime_usec), state, state);
    report_html(file, report_summary(text, sizeof(text), cycle));
    (void) fputs("</summary>\n", file);
    write_need(file, cycle);
    write_actions(file, data, cycle);
    write_trims(file, cycle);
    write_candidates(file, cycle->plan);
    (void) fputs("</details>\n", file);
}
