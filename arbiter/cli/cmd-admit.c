/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-admit.c - may this guest start? As libvirt's qemu hook asks, and as an operator does by hand.
 *
 * The hook decides on `prepare begin`, `restore begin` and `migrate begin` alone, and lets everything else pass: a hook
 * that fails on `reconnect` ends a running guest whenever libvirtd restarts. `release end` tells memarbd that nothing need be
 * held any more. It asks memarbd and never libvirt, which waits for this very program. Whatever it cannot read lets the
 * guest start; where there is no verdict in time WhenDown= says what becomes of it; both are said on stderr and in the
 * system's log. Nothing is written to stdout: of restore and migrate libvirt would take that for the
 * definition to start. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "admit-demand.h"
#include "admit-watchdog.h"
#include "bytes.h"
#include "cleanup.h"
#include "cli.h"
#include "config.h"
#include "domain-demand.h"
#include "read-text.h"

/* The whole hook. libvirt holds the domain's lock meanwhile; longer, and a host with a stuck memarbd starts no guests;
 * shorter, and a busy one lets everybody in. */
#define HOOK_USEC MA_USEC_PER_SEC
/* A notice that nobody waits for. */
#define NOTICE_USEC (300 * MA_USEC_PER_MSEC)

MA_DEFINE_AUTOPTR(ma_config, ma_config_destroy);

/* libvirt shows stderr of a hook that refused, and drops that of one that did not. */
static void say(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(int priority, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    (void) vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void) fprintf(stderr, "memarb: %s\n", text);
    syslog(priority, "%s", text);
}

/* A configuration that cannot be read has a say in nothing: defaults then. */
static struct ma_config *load_config(const struct ma_cli *cli) {
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    if (ma_config_load(cli->config, &config, &err) < 0) {
        say(LOG_WARNING, "the configuration cannot be read, its defaults are taken: %s",
            err.message);
    }
    return config;
}

static void use_socket_of(const struct ma_config *config, struct ma_cli *cli) {
    if (config != NULL && strcmp(cli->socket, MA_CLI_SOCKET_DEFAULT) == 0) {
        cli->socket = config->control.socket;
    }
}

static int ask(const struct ma_cli *cli, const struct ma_demand *demand, json_t **ret_verdict) {
    json_t *object = ma_admit_demand_json(demand);
    json_t *reply = NULL;
    if (object == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "no memory, or a name that is not UTF-8");
    }
    json_t *parameters =
        json_pack("{s:o, s:b}", "demand", object, "dry_run", (int) cli->is_dry_run);
    int r = ma_cli_call(cli, "io.memarb.Arbiter.Admit", parameters, &reply);
    json_t *verdict = json_object_get(reply, "verdict");
    bool is_one = json_is_boolean(json_object_get(verdict, "fits")) &&
                  json_is_boolean(json_object_get(verdict, "refused"));
    *ret_verdict = r == 0 && is_one ? json_incref(verdict) : NULL;
    json_decref(reply);
    return r == 0 && !is_one ? ma_cli_fail(MA_EXIT_ERROR, "the answer holds no verdict") : r;
}

static bool is_refusing_unjudged(const struct ma_config *config) {
    return config != NULL && config->admission.when_down == MA_WHEN_DOWN_REFUSE;
}

/* What a guest may do that nobody could judge in time. */
static int without_answer(const struct ma_config *config, const char *domain, const char *why) {
    if (is_refusing_unjudged(config)) {
        say(LOG_WARNING, "guest '%.64s' is refused: %s and [Admission] WhenDown=refuse", domain,
            why);
        return MA_EXIT_REFUSED;
    }
    say(LOG_WARNING, "guest '%.64s' is let in unjudged: %s", domain, why);
    return MA_EXIT_OK;
}

/* -1: it is none that decides. */
static int operation_of(char *const *args, int n_args) {
    static const struct {
        const char *hook;
        enum ma_demand_operation operation;
    } deciding[] = {{"prepare", MA_DEMAND_START},
                    {"restore", MA_DEMAND_RESTORE},
                    {"migrate", MA_DEMAND_MIGRATE}};
    for (size_t i = 0; n_args >= 3 && i < sizeof(deciding) / sizeof(deciding[0]); i++) {
        if (strcmp(args[1], deciding[i].hook) == 0 && strcmp(args[2], "begin") == 0) {
            return (int) deciding[i].operation;
        }
    }
    return -1;
}

/* Reads the definition on stdin. 0; -ETIME: it was not there in time; else it was said that nothing can be judged. */
static int read_hook_demand(const struct ma_config *config,
                            const char *domain,
                            uint64_t deadline_usec,
                            struct ma_demand *ret) {
    ma_auto_free char *xml = NULL;
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    size_t len = 0;
    int r = ma_admit_read_input(STDIN_FILENO, LV_DEFINITION_MAX_BYTES, deadline_usec, &xml, &len);
    if (r < 0 && r != -ETIME) {
        say(LOG_WARNING, "guest '%.64s' is let in unjudged: its definition cannot be read: %s",
            domain, strerror(-r));
    }
    if (r < 0) {
        return r;
    }
    r = lv_demand_read(xml, len, config != NULL ? &config->rules : NULL, ret, problem);
    if (r < 0) {
        say(LOG_WARNING, "guest '%.64s' is let in unjudged: %s", domain, problem);
    } else if (problem[0] != '\0') {
        say(LOG_NOTICE, "guest '%.64s': %s", domain, problem);
    }
    return r;
}

static int decide_in_hook(const struct ma_cli *cli, enum ma_demand_operation operation) {
    uint64_t whole = cli->timeout_usec > 0 ? cli->timeout_usec : HOOK_USEC;
    uint64_t deadline = ma_cli_now_usec() + whole - whole / 20; /* what comes after the answer */
    ma_admit_watch(whole);
    ma_autoptr(ma_config) config = load_config(cli);
    ma_admit_watch_refuses(is_refusing_unjudged(config));
    struct ma_cli asking = *cli;
    struct ma_demand demand;
    json_t *verdict = NULL;
    int r = read_hook_demand(config, cli->args[0], deadline - whole / 4, &demand);
    if (r < 0) {
        return r == -ETIME
                   ? without_answer(config, cli->args[0], "its definition is not there in time")
                   : MA_EXIT_OK;
    }
    demand.operation = operation;
    use_socket_of(config, &asking);
    asking.timeout_usec = ma_max_u64(ma_sub_floor0(deadline, ma_cli_now_usec()), MA_USEC_PER_MSEC);
    if (ask(&asking, &demand, &verdict) != 0) {
        return without_answer(config, cli->args[0], "memarbd does not answer");
    }
    bool is_refused = ma_cli_bool(verdict, "refused");
    if (is_refused || !ma_cli_bool(verdict, "fits")) {
        say(LOG_WARNING, "%s", ma_cli_text(verdict, "message"));
    }
    json_decref(verdict);
    return is_refused ? MA_EXIT_REFUSED : MA_EXIT_OK;
}

/* It ended or failed to start: what is held for it is free again. Its time would end that too, so nobody cares whether
 * this arrives. */
static int tell_end(const struct ma_cli *cli) {
    ma_auto_free char *xml = NULL;
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    size_t len = 0;
    uint64_t deadline = ma_cli_now_usec() + NOTICE_USEC;
    ma_admit_watch(HOOK_USEC);
    ma_autoptr(ma_config) config = load_config(cli);
    struct ma_cli telling = *cli;
    struct ma_demand demand;
    if (ma_admit_read_input(STDIN_FILENO, LV_DEFINITION_MAX_BYTES, deadline, &xml, &len) == 0 &&
        lv_demand_read(xml, len, NULL, &demand, problem) == 0) {
        use_socket_of(config, &telling);
        telling.timeout_usec = NOTICE_USEC;
        json_t *reply = NULL;
        (void) ma_cli_call(&telling, "io.memarb.Arbiter.Forget",
                           json_pack("{s:s}", "uuid", demand.uuid), &reply);
        json_decref(reply);
    }
    return MA_EXIT_OK;
}

static int run_as_hook(const struct ma_cli *cli) {
    int operation = operation_of(cli->args, cli->n_args);
    openlog("memarbctl", LOG_PID, LOG_DAEMON);
    if (operation >= 0) {
        return decide_in_hook(cli, (enum ma_demand_operation) operation);
    }
    if (cli->n_args >= 3 && strcmp(cli->args[1], "release") == 0 &&
        strcmp(cli->args[2], "end") == 0) {
        return tell_end(cli);
    }
    if (cli->n_args < 3) {
        say(LOG_WARNING, "these are no arguments of libvirt's qemu hook, nothing is refused: "
                         "DOMAIN OPERATION SUBOPERATION EXTRA");
    }
    return MA_EXIT_OK;
}

static void print_verdict(const json_t *verdict) {
    size_t i;
    const json_t *finding;
    (void) puts(ma_cli_text(verdict, "message"));
    json_array_foreach(json_object_get(verdict, "findings"), i, finding) {
        if (!ma_cli_bool(finding, "refuses") && !ma_cli_bool(verdict, "fits")) {
            (void) printf("note: %s\n", ma_cli_text(finding, "text"));
        }
    }
}

static int run_by_hand(const struct ma_cli *cli) {
    ma_auto_free char *xml = NULL;
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    ma_autoptr(ma_config) config = NULL;
    struct ma_cli asking = *cli;
    struct ma_demand demand;
    struct ma_err err = {0};
    json_t *verdict = NULL;
    int r = ma_config_load(cli->config, &config, &err);
    if (r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s", err.message);
    }
    r = ma_cli_read_text(cli->xml, LV_DEFINITION_MAX_BYTES, &xml);
    if (r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", cli->xml, strerror(-r));
    }
    if (lv_demand_read(xml, strlen(xml), &config->rules, &demand, problem) < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", cli->xml, problem);
    }
    if (problem[0] != '\0') {
        (void) fprintf(stderr, "memarbctl: %s: %s\n", cli->xml, problem);
    }
    use_socket_of(config, &asking);
    r = ask(&asking, &demand, &verdict);
    if (r != 0) {
        return r;
    }
    bool is_good = ma_cli_bool(verdict, "fits");
    if (cli->is_json) {
        r = ma_cli_print_json(cli, verdict);
    } else {
        print_verdict(verdict);
    }
    json_decref(verdict);
    return r != 0 ? r : is_good ? MA_EXIT_OK : MA_EXIT_REFUSED;
}

int ma_cmd_admit(const struct ma_cli *cli) {
    if ((cli->xml != NULL) == (cli->n_args > 0)) {
        return ma_cli_fail(MA_EXIT_USAGE, "admit takes either a hook's arguments behind -- or "
                                          "--xml=FILE");
    }
    return cli->xml != NULL ? run_by_hand(cli) : run_as_hook(cli);
}

int ma_cmd_readmit(const struct ma_cli *cli) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.Readmit", json_pack("{s:s}", "uuid", cli->args[0]),
                        &reply);
    json_decref(reply);
    if (r == 0) {
        (void) puts(cli->is_json ? "{}" : "it may start again");
    }
    return r;
}
