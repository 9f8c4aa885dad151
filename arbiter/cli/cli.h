/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cli.h - what memarbctl's commands share. One thread; nothing here is meant for other programs. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MA_CLI_SOCKET_DEFAULT "/run/memarb/control"

/* Exit codes, documented in memarbctl(1). */
enum ma_cli_exit {
    MA_EXIT_OK = 0,
    MA_EXIT_ERROR = 1,
    MA_EXIT_USAGE = 2,
    MA_EXIT_NO_DAEMON = 3,
    MA_EXIT_REFUSED = 4,
    MA_EXIT_NOT_FOUND = 5,
    MA_EXIT_WARNINGS = 6, /* doctor: warnings, and no error */
};

struct ma_cli {
    const char *socket;
    const char *config;  /* NULL: not said */
    const char *run_dir; /* likewise */
    uint64_t since_usec;
    bool has_since;
    bool is_json;
    bool is_follow;
    bool is_all;
    bool is_offline;
    bool is_force;
    bool is_once;
    bool is_defaults;
    bool is_color;
    bool is_quiet; /* a call that fails says nothing: the exit code is all that is wanted */
    bool is_dry_run;
    const char *guest;     /* events: of this guest; NULL: of all */
    const char *kinds;     /* events: of these, comma-separated; NULL: of all */
    const char *level;     /* events: at least as bad; NULL: all */
    const char *xml;       /* admit: a definition's file, "-": standard input; NULL: not said */
    uint64_t timeout_usec; /* for the whole answer; 0: the usual one */
    char **args;           /* behind the command's name; NULL-terminated */
    int n_args;
};

/* Each returns the exit code. */
int ma_cmd_status(const struct ma_cli *cli);
int ma_cmd_guests(const struct ma_cli *cli);
int ma_cmd_top(const struct ma_cli *cli);
int ma_cmd_explain(const struct ma_cli *cli);
int ma_cmd_show_plan(const struct ma_cli *cli);
int ma_cmd_events(const struct ma_cli *cli);
int ma_cmd_arm(const struct ma_cli *cli);
int ma_cmd_disarm(const struct ma_cli *cli);
int ma_cmd_hold(const struct ma_cli *cli);
int ma_cmd_release(const struct ma_cli *cli);
int ma_cmd_reload(const struct ma_cli *cli);
int ma_cmd_admit(const struct ma_cli *cli);
int ma_cmd_readmit(const struct ma_cli *cli);
int ma_cmd_check_config(const struct ma_cli *cli);
/* plan --snapshot FILE and plan --stream: without a daemon; argv[0] is "plan". */
int ma_cmd_plan(int argc, char **argv);
/* Without a daemon too; argv[0] is the command's name. */
int ma_cmd_replay(int argc, char **argv);
int ma_cmd_simulate(int argc, char **argv);
int ma_cmd_report(int argc, char **argv);

/* set, show and others that go through libvirt: by memarb-domain, under argv[0] as the command's name. */
int ma_cmd_domain(int argc, char **argv);
/* doctor's look before arming: 0, or the exit code with its errors said. */
int ma_cli_gate(const struct ma_cli *cli);
/* The first of places, relative to this program's own folder, that can be run; false: none. */
bool ma_cli_beside(const char *const *places, size_t n, char *path, size_t size);

/* "memarbctl: ..." on stderr; returns code. */
int ma_cli_fail(enum ma_cli_exit code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

uint64_t ma_cli_now_usec(void); /* client.c: CLOCK_MONOTONIC, of its deadlines */
/* client.c: one call, one answer. 0 and *ret_parameters (json_decref), or the exit code, said on stderr. parameters
 * is taken (may be NULL). */
int ma_cli_call(const struct ma_cli *cli,
                const char *method,
                json_t *parameters,
                json_t **ret_parameters);
/* Nobody listens on the control socket. What cannot be told (no permission) is false. */
bool ma_cli_is_daemon_gone(const struct ma_cli *cli);
/* Answers as they come, until on_reply says otherwise (MA_CLI_GO_ON goes on, else the exit code) or the server ends. */
#define MA_CLI_GO_ON (-1)
typedef int (*ma_cli_reply_fn)(void *userdata, const json_t *parameters);
int ma_cli_stream(const struct ma_cli *cli,
                  const char *method,
                  json_t *parameters,
                  ma_cli_reply_fn on_reply,
                  void *userdata);

/* json.c: members by name; what is absent or of another type reads as "" and 0. */
const char *ma_cli_text(const json_t *object, const char *name);
int64_t ma_cli_number(const json_t *object, const char *name);
bool ma_cli_has(const json_t *object, const char *name);
bool ma_cli_bool(const json_t *object, const char *name);
/* Prints it: indented on a terminal, one line when piped. */
int ma_cli_print_json(const struct ma_cli *cli, const json_t *value);
/* Array of texts, blank-separated; "" when empty. Returns buf. */
char *ma_cli_join(char *buf, size_t size, const json_t *array);

/* explain-pins.c: the ledger of a guest; prints nothing where there is none. */
void ma_cli_print_pins(const struct ma_cli *cli, const json_t *pins);
void ma_cli_print_limits(const struct ma_cli *cli, const json_t *limits);

/* help.c: everything, or of one command; its exit status. */
int ma_cli_help(const char *command);
/* reasons.c: what a reason code means, or NULL. */
const char *ma_cli_reason_text(const char *reason);
/* Of a plan's trims: why the next of its actions that is not armed is withheld, from *at (0 at first) on; they stand behind
 * the trims, in the plan's order. NULL: it is not said. Borrowed. */
const json_t *ma_cli_next_withheld(const json_t *trims, size_t *at);
