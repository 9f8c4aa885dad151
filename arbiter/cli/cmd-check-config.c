/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-check-config.c - every problem of the configuration, or every key with its default. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "config-keys.h"
#include "config.h"
#include "policy.h"

struct problems {
    const struct ma_cli *cli;
    json_t *list;
};

static void on_problem(void *userdata, const char *problem) {
    const struct problems *problems = userdata;
    if (problems->cli->is_json) {
        (void) json_array_append_new(problems->list, json_string(problem));
    } else {
        (void) fprintf(stderr, "%s\n", problem);
    }
}

static void print_wrapped(const char *text) {
    const size_t width = 92;
    while (*text != '\0') {
        size_t len = strlen(text);
        size_t cut = len;
        if (len > width) {
            cut = width;
            while (cut > 0 && text[cut] != ' ') {
                cut--;
            }
        }
        (void) printf("# %.*s\n", (int) cut, text);
        text += cut;
        text += strspn(text, " ");
    }
}

/* memarb.conf as it is installed: every key commented out, with its documentation. */
static int print_defaults(void) {
    const struct ma_config_key *key;
    const char *section = "";
    (void) puts("# memarb.conf(5). Every key stands here with its default. Drop-ins: "
                "memarb.conf.d/*.conf.");
    for (size_t i = 0; (key = ma_config_key_at(i)) != NULL; i++) {
        if (strcmp(section, key->section) != 0) {
            section = key->section;
            (void) printf("\n[%s]\n", section);
        }
        print_wrapped(key->doc);
        (void) printf("#%s=%s\n", key->name, key->standard);
    }
    (void) puts("\n# Prefixes that [Guest xpath:...] may use, as "
                "prefix=uri.\n[Namespaces]\n#app=http://example.org/app/1");
    (void) puts("\n# Guests by uuid:, name: or title: (globs), or xpath: over the domain's XML. "
                "Each key is optional.\n"
                "#[Guest name:web-*]");
    for (size_t i = 0; (key = ma_config_guest_key_at(i)) != NULL; i++) {
        print_wrapped(key->doc);
        (void) printf("#%s=\n", key->name);
    }
    return MA_EXIT_OK;
}

static int print_defaults_json(const struct ma_cli *cli) {
    const struct ma_config_key *key;
    json_t *list = json_array();
    for (size_t i = 0; (key = ma_config_key_at(i)) != NULL; i++) {
        (void) json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "section",
                                                     key->section, "key", key->name, "default",
                                                     key->standard, "doc", key->doc));
    }
    for (size_t i = 0; (key = ma_config_guest_key_at(i)) != NULL; i++) {
        (void) json_array_append_new(list,
                                     json_pack("{s:s, s:s, s:n, s:s}", "section", key->section,
                                               "key", key->name, "default", "doc", key->doc));
    }
    int r = ma_cli_print_json(cli, list);
    json_decref(list);
    return r;
}

static int print_good(const struct ma_cli *cli, const struct ma_config *config) {
    if (cli->is_json) {
        json_t *good = json_pack("{s:b, s:[], s:i, s:i}", "good", 1, "problems", "files",
                                 (int) config->n_files, "guest_rules", (int) config->rules.n_rules);
        int r = ma_cli_print_json(cli, good);
        json_decref(good);
        return r;
    }
    (void) printf("good: %s (%u files, %zu guest rules), Arm=%s%s\n",
                  config->n_files > 0 ? config->file : "no file, defaults alone", config->n_files,
                  config->rules.n_rules, ma_arm_name(config->arbiter.arm),
                  config->arbiter.is_dry_run ? ", DryRun=yes" : "");
    return MA_EXIT_OK;
}

int ma_cmd_check_config(const struct ma_cli *cli) {
    struct problems problems = {.cli = cli, .list = json_array()};
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    int code = MA_EXIT_OK;
    if (cli->is_defaults) {
        json_decref(problems.list);
        return cli->is_json ? print_defaults_json(cli) : print_defaults();
    }
    const char *file = cli->n_args > 0 ? cli->args[0] : cli->config;
    int r = ma_config_check(file, on_problem, &problems, &config, &err);
    if (r == 0) {
        code = print_good(cli, config);
    } else if (cli->is_json) {
        json_t *bad = json_pack("{s:b, s:O}", "good", 0, "problems", problems.list);
        (void) ma_cli_print_json(cli, bad);
        code = MA_EXIT_ERROR;
        json_decref(bad);
    } else {
        code = ma_cli_fail(MA_EXIT_ERROR,
                           "the configuration is bad; a running memarbd keeps its old one");
    }
    ma_config_destroy(config);
    json_decref(problems.list);
    return code;
}
