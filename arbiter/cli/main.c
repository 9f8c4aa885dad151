/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main.c - memarbctl: options, commands, exit codes. */
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cli.h"

/* A hook of a later libvirt may be given more than the four of today. */
#define HOOK_ARGS_MAX 16

static const struct command {
    const char *name;
    int min_args;
    int max_args;
    int (*run)(const struct ma_cli *cli);
} commands[] = {
    {"status", 0, 0, ma_cmd_status},
    {"guests", 0, 0, ma_cmd_guests},
    {"top", 0, 0, ma_cmd_top},
    {"explain", 1, 1, ma_cmd_explain},
    {"plan", 0, 0, ma_cmd_show_plan},
    {"events", 0, 0, ma_cmd_events},
    {"arm", 1, 1, ma_cmd_arm},
    {"disarm", 0, 0, ma_cmd_disarm},
    {"hold", 2, 2, ma_cmd_hold},
    {"release", 0, 1, ma_cmd_release},
    {"reload", 0, 0, ma_cmd_reload},
    {"check-config", 0, 1, ma_cmd_check_config},
    {"admit", 0, HOOK_ARGS_MAX, ma_cmd_admit},
    {"readmit", 1, 1, ma_cmd_readmit},
};

enum option_code {
    OPT_SOCKET = 256,
    OPT_SINCE,
    OPT_ALL,
    OPT_FORCE,
    OPT_ONCE,
    OPT_OFFLINE,
    OPT_CONFIG,
    OPT_RUN_DIR,
    OPT_DEFAULTS,
    OPT_PLAN,
    OPT_DOMAIN,
    OPT_XML,
    OPT_GUEST,
    OPT_KIND,
    OPT_LEVEL,
    OPT_TIMEOUT,
    OPT_VERSION
};

static const struct option options[] = {
    {"json", no_argument, NULL, 'j'},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"follow", no_argument, NULL, 'f'},
    {"since", required_argument, NULL, OPT_SINCE},
    {"all", no_argument, NULL, OPT_ALL},
    {"force", no_argument, NULL, OPT_FORCE},
    {"once", no_argument, NULL, OPT_ONCE},
    {"offline", no_argument, NULL, OPT_OFFLINE},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"defaults", no_argument, NULL, OPT_DEFAULTS},
    {"snapshot", required_argument, NULL, OPT_PLAN},
    {"stream", no_argument, NULL, OPT_PLAN},
    {"policy", required_argument, NULL, OPT_PLAN},
    {"runs", required_argument, NULL, OPT_PLAN},
    {"seed", required_argument, NULL, OPT_PLAN},
    {"svg", required_argument, NULL, OPT_PLAN},
    {"html", required_argument, NULL, OPT_PLAN},
    {"until", required_argument, NULL, OPT_PLAN},
    {"record", required_argument, NULL, OPT_PLAN},
    {"connect", required_argument, NULL, OPT_DOMAIN},
    {"from", required_argument, NULL, OPT_DOMAIN},
    {"xml", required_argument, NULL, OPT_XML},
    {"guest", required_argument, NULL, OPT_GUEST},
    {"kind", required_argument, NULL, OPT_KIND},
    {"level", required_argument, NULL, OPT_LEVEL},
    {"dry-run", no_argument, NULL, 'n'},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"yes", no_argument, NULL, OPT_DOMAIN},
    {"live", no_argument, NULL, OPT_DOMAIN},
    {"no-monitor", no_argument, NULL, OPT_DOMAIN},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int print(const char *text) {
    return fputs(text, stdout) == EOF || fflush(stdout) != 0 ? MA_EXIT_ERROR : MA_EXIT_OK;
}

static int print_version(const struct ma_cli *cli) {
    return print(cli->is_json ? "{\"version\":\"" MEMARB_VERSION "\"}\n"
                              : "memarbctl " MEMARB_VERSION "\n");
}

static int take_since(struct ma_cli *cli, const char *text) {
    if (ma_parse_usec(text, &cli->since_usec) != 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "--since=%s: write a time with its unit, such as 10min",
                           text);
    }
    cli->has_since = true;
    return MA_CLI_GO_ON;
}

static int take_timeout(struct ma_cli *cli, const char *text) {
    if (ma_parse_usec(text, &cli->timeout_usec) != 0 || cli->timeout_usec < MA_USEC_PER_MSEC ||
        cli->timeout_usec > 60 * MA_USEC_PER_SEC) {
        return ma_cli_fail(MA_EXIT_USAGE, "--timeout=%s: write a time of 1ms to 60s, such as 1s",
                           text);
    }
    return MA_CLI_GO_ON;
}

/* Those of admit and of events. */
static int take_admit_option(struct ma_cli *cli, int option) {
    switch (option) {
    case OPT_GUEST:
        cli->guest = optarg;
        return MA_CLI_GO_ON;
    case OPT_KIND:
        cli->kinds = optarg;
        return MA_CLI_GO_ON;
    case OPT_LEVEL:
        cli->level = optarg;
        return MA_CLI_GO_ON;
    case OPT_XML:
        cli->xml = optarg;
        return MA_CLI_GO_ON;
    case 'n':
        cli->is_dry_run = true;
        return MA_CLI_GO_ON;
    case OPT_TIMEOUT:
        return take_timeout(cli, optarg);
    default:
        return ma_cli_fail(MA_EXIT_USAGE, "memarbctl --help lists the options");
    }
}

/* MA_CLI_GO_ON, or an exit code. */
static int take_option(struct ma_cli *cli, int option) {
    switch (option) {
    case 'j':
        cli->is_json = true;
        break;
    case 'f':
        cli->is_follow = true;
        break;
    case 'h':
        return ma_cli_help(NULL);
    case OPT_VERSION:
        return print_version(cli);
    case OPT_SOCKET:
        cli->socket = optarg;
        break;
    case OPT_SINCE:
        return take_since(cli, optarg);
    case OPT_ALL:
        cli->is_all = true;
        break;
    case OPT_FORCE:
        cli->is_force = true;
        break;
    case OPT_ONCE:
        cli->is_once = true;
        break;
    case OPT_OFFLINE:
        cli->is_offline = true;
        break;
    case OPT_RUN_DIR:
        cli->run_dir = optarg;
        break;
    case OPT_CONFIG:
        cli->config = optarg;
        break;
    case OPT_DEFAULTS:
        cli->is_defaults = true;
        break;
    case OPT_PLAN:
        return ma_cli_fail(MA_EXIT_USAGE,
                           "--snapshot, --stream and --policy belong to plan without a daemon, "
                           "--runs, --seed and --svg to simulate; --html, --until and --record "
                           "to report");
    case OPT_DOMAIN:
        return ma_cli_fail(MA_EXIT_USAGE,
                           "--connect, --from, --live, --no-monitor and --yes belong to the "
                           "commands for a domain");
    default:
        return take_admit_option(cli, option);
    }
    return MA_CLI_GO_ON;
}

static int run_command(struct ma_cli *cli, const char *name) {
    bool has_admit_option = cli->xml != NULL || cli->is_dry_run || cli->timeout_usec != 0;
    if (has_admit_option && strcmp(name, "admit") != 0) {
        return ma_cli_fail(MA_EXIT_USAGE,
                           "--xml and --dry-run belong to admit, show and set, --timeout to admit");
    }
    bool has_filter = cli->guest != NULL || cli->kinds != NULL || cli->level != NULL;
    if (has_filter && strcmp(name, "events") != 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "--guest, --kind and --level belong to events");
    }
    if (strcmp(name, "help") == 0) {
        return ma_cli_help(NULL);
    }
    if (strcmp(name, "version") == 0) {
        return print_version(cli);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) != 0) {
            continue;
        }
        if (cli->n_args < commands[i].min_args || cli->n_args > commands[i].max_args) {
            return ma_cli_fail(MA_EXIT_USAGE, "%s takes %s; memarbctl --help", name,
                               commands[i].max_args == 0   ? "no argument"
                               : commands[i].max_args == 2 ? "two arguments"
                                                           : "one argument");
        }
        int r = commands[i].run(cli);
        return fflush(stdout) != 0 && r == 0 ? MA_EXIT_ERROR : r;
    }
    return ma_cli_fail(MA_EXIT_USAGE, "unknown command \"%s\"; memarbctl --help lists them", name);
}

/* These read their command line themselves: they need no daemon. */
static const struct offline {
    const char *name;
    int (*run)(int argc, char **argv);
} offline_commands[] = {
    {"plan", ma_cmd_plan},     {"replay", ma_cmd_replay},  {"simulate", ma_cmd_simulate},
    {"report", ma_cmd_report}, {"set", ma_cmd_domain},     {"show", ma_cmd_domain},
    {"enable", ma_cmd_domain}, {"disable", ma_cmd_domain}, {"doctor", ma_cmd_domain},
};

/* Does the next word belong to this one? "--socket PATH", but not "--socket=PATH". */
static bool takes_next_word(const char *word) {
    for (const struct option *o = options; o->name != NULL; o++) {
        if (o->has_arg == required_argument && strncmp(word, "--", 2) == 0 &&
            strcmp(word + 2, o->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Where the command's name stands; argc: nowhere. */
static int find_command(int argc, char **argv) {
    int at = 1;
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--") != 0) {
        at += takes_next_word(argv[at]) ? 2 : 1;
    }
    return at < argc ? at : argc;
}

/* Without these "plan" asks the daemon. */
static bool has_plan_option(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--snapshot", 10) == 0 || strcmp(argv[i], "--stream") == 0) {
            return true;
        }
    }
    return false;
}

/* The offline command that is named, and its index in argv; NULL: another one. */
static const struct offline *find_offline(int argc, char **argv, int *ret_index) {
    int at = find_command(argc, argv);

    for (size_t k = 0; at < argc && k < sizeof(offline_commands) / sizeof(offline_commands[0]);
         k++) {
        if (strcmp(argv[at], offline_commands[k].name) == 0) {
            *ret_index = at;
            return k > 0 || has_plan_option(argc - at, argv + at) ? &offline_commands[k] : NULL;
        }
    }
    return NULL;
}

/* For commands that speak to no daemon: which one would be meant does not matter. The number of words that are left. */
static int without_socket(int argc, char **argv) {
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--socket") == 0) {
            i++; /* and its value */
        } else if (strncmp(argv[i], "--socket=", 9) != 0) {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    return n;
}

/* Before the options are read: what a command reads by itself would not know it. */
static const char *wants_help(int argc, char **argv) {
    int at = find_command(argc, argv);
    for (int i = 1; at < argc && i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return argv[at];
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct ma_cli cli = {.socket = MA_CLI_SOCKET_DEFAULT};
    const char *explained = wants_help(argc, argv);
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    static char name[] = "memarbctl";
    int at = 0;
    const struct offline *offline = find_offline(argc, argv, &at);
    if (argc > 0) {
        argv[0] = name; /* getopt's messages begin with it */
    }
    (void) signal(SIGPIPE, SIG_IGN); /* `memarbctl guests | head` ends with a failed write */
    if (explained != NULL) {
        return ma_cli_help(explained);
    }
    if (offline != NULL) {
        /* What stands before the command goes behind it: it gets its name and all options. */
        for (int i = at; i > 1; i--) {
            argv[i] = argv[i - 1];
        }
        argv[1] = (char *) (uintptr_t) offline->name;
        argc = offline->run == ma_cmd_domain ? argc : without_socket(argc, argv);
        return offline->run(argc - 1, argv + 1);
    }
    cli.is_color = isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
                   (term == NULL || strcmp(term, "dumb") != 0);
    int option;
    while ((option = getopt_long(argc, argv, "jfhn", options, NULL)) != -1) {
        int r = take_option(&cli, option);
        if (r != MA_CLI_GO_ON) {
            return r;
        }
    }
    if (optind >= argc) {
        return ma_cli_fail(MA_EXIT_USAGE, "name a command; memarbctl --help lists them");
    }
    cli.args = argv + optind + 1;
    cli.n_args = argc - optind - 1;
    return run_command(&cli, argv[optind]);
}
