/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main.c - memarb-guest-agent: command line and configuration file. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "log.h"

#define CONFIG_DEFAULT "/etc/memarb/guest-agent.conf"
/* A longer file is refused: it is none of ours. */
#define CONFIG_MAX_BYTES 8192U

static const char help[] =
    "usage: memarb-guest-agent [OPTION]...\n"
    "Tells the host's memarbd how this guest is off for memory.\n"
    "\n"
    "  --config FILE        settings, Key=value lines (default " CONFIG_DEFAULT
    ", if it is there)\n"
    "  --port DEVICE        the virtio-serial port (default: the one named "
    "org.memarb.guest.0"
    ")\n"
    "  --hook PROGRAM       run when the host announces a squeeze (default " MAG_HOOK_DEFAULT
    ", if it is there)\n"
    "  --alarm-stall TIME   some task stalled so long within a second: an alarm (default 100ms)\n"
    "  --veto-stall TIME    all tasks stalled so long within a second: asks to be spared (default "
    "100ms)\n"
    "  --print              print one report and exit\n"
    "  --verbose            log more\n"
    "  --help               this text\n"
    "  --version            the version\n";

enum flag {
    OPTION_CONFIG = 1000,
    OPTION_PRINT,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_SETTING
};
#define N_SETTINGS 4

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"print", no_argument, NULL, OPTION_PRINT},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"port", required_argument, NULL, OPTION_SETTING},
    {"hook", required_argument, NULL, OPTION_SETTING + 1},
    {"alarm-stall", required_argument, NULL, OPTION_SETTING + 2},
    {"veto-stall", required_argument, NULL, OPTION_SETTING + 3},
    {NULL, 0, NULL, 0},
};
static const char *const setting_keys[N_SETTINGS] = {"Port", "Hook", "AlarmStall", "VetoStall"};

struct arguments {
    const char *config;
    const char *settings[N_SETTINGS];
    bool wants_print, wants_help, wants_version;
};

static int fail(int status, const char *message) {
    (void) fprintf(stderr, "memarb-guest-agent: %s\n", message);
    return status;
}

/* 0, or 2: getopt has said what is wrong. */
static int read_arguments(int argc, char **argv, struct arguments *ret) {
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case OPTION_CONFIG:
            ret->config = optarg;
            break;
        case OPTION_PRINT:
            ret->wants_print = true;
            break;
        case OPTION_VERBOSE:
            ma_log_set_max_level(MA_LOG_DEBUG);
            break;
        case OPTION_HELP:
            ret->wants_help = true;
            break;
        case OPTION_VERSION:
            ret->wants_version = true;
            break;
        default:
            if (option < OPTION_SETTING) {
                return 2;
            }
            ret->settings[option - OPTION_SETTING] = optarg;
        }
    }
    return optind < argc ? fail(2, "takes options only; try --help") : 0;
}

static int
read_config(const char *path, bool must_exist, struct mag_settings *settings, struct ma_err *err) {
    static char text[CONFIG_MAX_BYTES];
    ma_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT && !must_exist
                   ? 0
                   : ma_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    }
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0) {
        return ma_err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
    }
    if ((size_t) n == sizeof(text)) {
        return ma_err_set(err, -EFBIG, "%s is longer than %u bytes", path, CONFIG_MAX_BYTES - 1);
    }
    return mag_settings_parse(settings, path, text, (size_t) n, err);
}

static int
settle(const struct arguments *arguments, struct mag_settings *settings, struct ma_err *err) {
    mag_settings_init(settings);
    int r = read_config(arguments->config != NULL ? arguments->config : CONFIG_DEFAULT,
                        arguments->config != NULL, settings, err);
    for (int i = 0; r == 0 && i < N_SETTINGS; i++) {
        if (arguments->settings[i] != NULL) {
            r = mag_settings_set(settings, setting_keys[i], arguments->settings[i], err);
        }
    }
    return r;
}

int main(int argc, char **argv) {
    static struct mag_settings settings;
    struct arguments arguments = {.config = NULL};
    struct ma_err err = {.code = 0};
    int status = read_arguments(argc, argv, &arguments);
    if (status != 0) {
        return status;
    }
    if (arguments.wants_help || arguments.wants_version) {
        const char *text =
            arguments.wants_help ? help : "memarb-guest-agent " MEMARB_VERSION ", protocol 1\n";
        return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? 1 : 0;
    }
    if (settle(&arguments, &settings, &err) < 0) {
        return fail(2, err.message);
    }
    int r = arguments.wants_print ? mag_agent_print(&settings, "/proc", &err)
                                  : mag_agent_run(&settings, "/proc", &err);
    return r < 0 ? fail(1, err.message) : 0;
}
