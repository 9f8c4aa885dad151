/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-change.c - what changes something: arm, disarm, hold, release, reload. All take root. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cli.h"
#include "settings.h"

static int
change(const struct ma_cli *cli, const char *method, json_t *parameters, const char *done) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, method, parameters, &reply);
    json_decref(reply);
    if (r == 0 && cli->is_json) {
        (void) puts("{}");
    } else if (r == 0) {
        (void) puts(done);
    }
    return r;
}

int ma_cmd_arm(const struct ma_cli *cli) {
    char done[128];
    json_t *status = NULL;
    bool is_for_acting = strcmp(cli->args[0], "observe") != 0;
    if (ma_arm_from_name(cli->args[0]) < 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "arm %.32s: write observe, reclaim, pause or kill",
                           cli->args[0]);
    }
    /* Without a daemon there is nothing to arm, whatever doctor has to say. */
    int r = ma_cli_call(cli, "io.memarb.Arbiter.GetStatus", NULL, &status);
    json_decref(status);
    if (r != 0) {
        return r;
    }
    r = is_for_acting && !cli->is_force ? ma_cli_gate(cli) : 0;
    if (r == MA_EXIT_REFUSED) {
        return ma_cli_fail(MA_EXIT_REFUSED, "not armed; mend that, or memarbctl arm %.32s --force",
                           cli->args[0]);
    }
    if (r != 0) {
        return r;
    }
    (void) snprintf(done, sizeof(done),
                    "armed: %.32s, until the next boot; Arm= in memarb.conf makes it last",
                    cli->args[0]);
    return change(cli, "io.memarb.Arbiter.Arm", json_pack("{s:s}", "rung", cli->args[0]), done);
}

int ma_cmd_disarm(const struct ma_cli *cli) {
    return change(
        cli, "io.memarb.Arbiter.Disarm", NULL,
        "disarmed: memarbd only observes; memarbctl release --all gives back what it holds");
}

int ma_cmd_hold(const struct ma_cli *cli) {
    uint64_t usec = 0;
    const char *time = cli->args[1];
    if (strcmp(time, "0") != 0 && ma_parse_usec(time, &usec) != 0) {
        return ma_cli_fail(
            MA_EXIT_USAGE,
            "%s: write a time with its unit, such as 30min or 2h, or 0 to lift the hold", time);
    }
    return change(cli, "io.memarb.Arbiter.Hold",
                  json_pack("{s:s, s:I}", "guest", cli->args[0], "usec", (json_int_t) usec),
                  usec > 0 ? "held" : "hold lifted");
}

int ma_cmd_reload(const struct ma_cli *cli) {
    return change(cli, "io.memarb.Arbiter.Reload", NULL, "reloaded");
}

/* memarbd: beside this program, where it is installed, or in the build folder. Never through PATH, since this runs as
 * root. Returns only when there is none. */
static int exec_memarbd(char **argv) {
    static const char *const places[] = {"memarbd", "../sbin/memarbd", "../daemon/memarbd"};
    char path[2048 + 32];
    if (ma_cli_beside(places, sizeof(places) / sizeof(places[0]), path, sizeof(path))) {
        argv[0] = path;
        (void) execv(path, argv);
        return ma_cli_fail(MA_EXIT_ERROR, "cannot run %s: %s", path, strerror(errno));
    }
    return ma_cli_fail(MA_EXIT_ERROR,
                       "cannot find memarbd beside memarbctl; run memarbd --release yourself");
}

/* memarbd's own lock keeps this off a daemon that runs but does not listen. */
static int release_without_daemon(const struct ma_cli *cli) {
    char *argv[8] = {NULL, (char *) "--release"};
    size_t n = 2;
    if (cli->config != NULL) {
        argv[n++] = (char *) "--config";
        argv[n++] = (char *) (uintptr_t) cli->config;
    }
    if (cli->run_dir != NULL) {
        argv[n++] = (char *) "--run-dir";
        argv[n] = (char *) (uintptr_t) cli->run_dir;
    }
    return exec_memarbd(argv);
}

int ma_cmd_release(const struct ma_cli *cli) {
    if (cli->is_offline && cli->n_args > 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "release --offline gives everything back; name no guest");
    }
    if (cli->is_offline) {
        return release_without_daemon(cli);
    }
    if (cli->is_all && cli->n_args > 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "release takes either a guest or --all");
    }
    if (cli->n_args == 0 && ma_cli_is_daemon_gone(cli)) {
        (void) fputs("memarbctl: memarbd is not running, giving back what it took without it\n",
                     stderr);
        return release_without_daemon(cli);
    }
    if (!cli->is_all && cli->n_args == 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "memarbd is running: release takes a guest or --all");
    }
    return change(cli, "io.memarb.Arbiter.Release",
                  cli->n_args > 0 ? json_pack("{s:s}", "guest", cli->args[0]) : NULL,
                  cli->n_args > 0 ? "released and held: nothing is taken from it for 30 minutes"
                                  : "releasing; nothing more is taken until memarbctl arm");
}
