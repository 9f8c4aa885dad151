/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-doctor.c - memarbctl doctor, and the look that memarbctl arm takes beforehand (--gate: errors alone, and without
 * libvirt, which may hang on the very day). */
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "gather.h"
#include "table.h"
#include "virt.h"

static enum ma_table_color color_of(enum ma_severity severity) {
    return severity == MA_SEVERITY_ERROR     ? MA_COLOR_RED
           : severity == MA_SEVERITY_WARNING ? MA_COLOR_YELLOW
                                             : MA_COLOR_NONE;
}

static void print_finding(const struct ma_domain_cli *cli, const struct ma_finding *f) {
    struct ma_table table;
    ma_table_init_plain(&table, 2, cli->cli.is_color);
    ma_table_add(&table, color_of(f->severity), ma_severity_name(f->severity));
    ma_table_add(&table, MA_COLOR_BOLD, f->text);
    ma_table_add(&table, MA_COLOR_NONE, "");
    ma_table_add(&table, MA_COLOR_NONE, f->remedy);
    ma_table_print(&table, 0);
}

static void print_text(const struct ma_domain_cli *cli, const struct ma_findings *findings) {
    for (size_t i = 0; i < findings->n; i++) {
        print_finding(cli, &findings->list[i]);
    }
    (void) printf("%zu errors, %zu warnings, %zu notes\n",
                  ma_findings_count(findings, MA_SEVERITY_ERROR),
                  ma_findings_count(findings, MA_SEVERITY_WARNING),
                  ma_findings_count(findings, MA_SEVERITY_NOTE));
}

static int print_json(const struct ma_domain_cli *cli, const struct ma_findings *findings) {
    json_t *list = json_array();
    for (size_t i = 0; i < findings->n; i++) {
        const struct ma_finding *f = &findings->list[i];
        (void) json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "check", f->check,
                                                     "severity", ma_severity_name(f->severity),
                                                     "text", f->text, "remedy", f->remedy));
    }
    json_t *answer = json_pack("{s:o, s:i, s:i, s:i}", "findings", list, "errors",
                               (int) ma_findings_count(findings, MA_SEVERITY_ERROR), "warnings",
                               (int) ma_findings_count(findings, MA_SEVERITY_WARNING), "notes",
                               (int) ma_findings_count(findings, MA_SEVERITY_NOTE));
    int r = ma_cli_print_json(&cli->cli, answer);
    json_decref(answer);
    return r;
}

static int exit_code(const struct ma_findings *findings) {
    if (ma_findings_count(findings, MA_SEVERITY_ERROR) > 0) {
        return MA_EXIT_ERROR;
    }
    return ma_findings_count(findings, MA_SEVERITY_WARNING) > 0 ? MA_EXIT_WARNINGS : MA_EXIT_OK;
}

/* Says the errors on stderr. */
static int gate(const struct ma_findings *findings) {
    int r = MA_EXIT_OK;
    for (size_t i = 0; i < findings->n; i++) {
        const struct ma_finding *f = &findings->list[i];
        if (f->severity == MA_SEVERITY_ERROR) {
            r = ma_cli_fail(MA_EXIT_REFUSED, "%s\nmemarbctl:   %s", f->text, f->remedy);
        }
    }
    return r;
}

static int judge(const struct ma_domain_cli *cli, const struct ma_doctor_facts *facts) {
    ma_auto_free struct ma_findings *findings = calloc(1, sizeof(*findings));
    if (findings == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "no memory");
    }
    ma_doctor_judge(facts, findings);
    if (cli->is_gate) {
        return gate(findings);
    }
    if (cli->cli.is_json) {
        int r = print_json(cli, findings);
        return r != 0 ? r : exit_code(findings);
    }
    print_text(cli, findings);
    return exit_code(findings);
}

int ma_cmd_doctor(const struct ma_domain_cli *cli) {
    struct ma_doctor_facts facts = {0};
    ma_auto_free char *uri = NULL;
    ma_gather_host("", &facts);
    ma_gather_oomd(&facts);
    ma_gather_config(cli->cli.config, &facts);
    ma_gather_daemon(&cli->cli, &facts);
    bool should_ask = !cli->is_gate && (facts.config_problem[0] == '\0' || cli->uri != NULL) &&
                      (facts.wants_libvirt || cli->uri != NULL);
    if (should_ask && ma_virt_uri(cli, &uri) == 0) {
        ma_gather_libvirt(uri, &facts);
    }
    return judge(cli, &facts);
}
