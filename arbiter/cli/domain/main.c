/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main.c - memarb-domain: memarbctl's commands that go through libvirt. memarbctl runs it under the
 * command's name and hands its arguments on; help and man page are memarbctl's. */
#include <getopt.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain-cli.h"

static const struct command {
    const char *name;
    int min_args;
    int max_args;
    int (*run)(const struct ma_domain_cli *cli);
} commands[] = {
    {"set", 2, 1000, ma_cmd_set},    {"show", 0, 1, ma_cmd_show},
    {"enable", 1, 1, ma_cmd_enable}, {"disable", 1, 1, ma_cmd_disable},
    {"doctor", 0, 0, ma_cmd_doctor},
};

enum option_code {
    OPT_SOCKET = 256,
    OPT_CONFIG,
    OPT_CONNECT,
    OPT_FROM,
    OPT_XML,
    OPT_LIVE,
    OPT_NO_MONITOR,
    OPT_GATE,
};
static const struct option options[] = {
    {"json", no_argument, NULL, 'j'},
    {"yes", no_argument, NULL, 'y'},
    {"dry-run", no_argument, NULL, 'n'},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"connect", required_argument, NULL, OPT_CONNECT},
    {"from", required_argument, NULL, OPT_FROM},
    {"xml", required_argument, NULL, OPT_XML},
    {"live", no_argument, NULL, OPT_LIVE},
    {"no-monitor", no_argument, NULL, OPT_NO_MONITOR},
    {"gate", no_argument, NULL, OPT_GATE},
    {NULL, 0, NULL, 0},
};

static int take_from(struct ma_domain_cli *cli) {
    cli->from = optarg;
    if (strcmp(optarg, "live") != 0 && strcmp(optarg, "config") != 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "--from=%s: live or config", optarg);
    }
    return 0;
}

static int take_option(struct ma_domain_cli *cli, int option) {
    switch (option) {
    case 'j':
        cli->cli.is_json = true;
        return 0;
    case 'y':
        cli->is_yes = true;
        return 0;
    case 'n':
        cli->is_dry_run = true;
        return 0;
    case OPT_SOCKET:
        cli->cli.socket = optarg;
        return 0;
    case OPT_CONFIG:
        cli->cli.config = optarg;
        return 0;
    case OPT_CONNECT:
        cli->uri = optarg;
        return 0;
    case OPT_FROM:
        return take_from(cli);
    case OPT_XML:
        cli->xml = optarg;
        return 0;
    case OPT_LIVE:
        cli->is_live = true;
        return 0;
    case OPT_NO_MONITOR:
        cli->is_without_monitor = true;
        return 0;
    case OPT_GATE:
        cli->is_gate = true;
        return 0;
    default:
        return ma_cli_fail(MA_EXIT_USAGE, "this command has no such option; memarbctl --help");
    }
}

static int run(struct ma_domain_cli *cli, const char *name) {
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, name) == 0) {
            if (cli->cli.n_args < c->min_args || cli->cli.n_args > c->max_args) {
                return ma_cli_fail(MA_EXIT_USAGE, "%s: too %s arguments; memarbctl --help", name,
                                   cli->cli.n_args < c->min_args ? "few" : "many");
            }
            int r = c->run(cli);
            return fflush(stdout) != 0 && r == 0 ? MA_EXIT_ERROR : r;
        }
    }
    return ma_cli_fail(MA_EXIT_USAGE, "%s: memarbctl has no such command for domains", name);
}

int main(int argc, char **argv) {
    struct ma_domain_cli cli = {.cli = {.socket = MA_CLI_SOCKET_DEFAULT}};
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    static char name[] = "memarbctl";
    const char *command = argc > 0 ? argv[0] : "";
    int option;
    if (argc > 0) {
        argv[0] = name; /* getopt's messages begin with it */
    }
    (void) signal(SIGPIPE, SIG_IGN);
    cli.cli.is_color = isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
                       (term == NULL || strcmp(term, "dumb") != 0);
    while ((option = getopt_long(argc, argv, "jyn", options, NULL)) != -1) {
        int r = take_option(&cli, option);
        if (r != 0) {
            return r;
        }
    }
    xmlInitParser();
    cli.cli.args = argv + optind;
    cli.cli.n_args = argc - optind;
    return run(&cli, command);
}
