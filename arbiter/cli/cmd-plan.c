/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-plan.c - memarbctl plan --snapshot FILE and plan --stream: what would be done, without a daemon or root. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"
#include "config.h"
#include "formats.h"
#include "offline-plan.h"

struct plan_options {
    const char *snapshot;
    const char *config;
    const char *policy;
    bool is_stream;
};

static void close_file(FILE **file) {
    if (*file != NULL && *file != stdin) {
        (void) fclose(*file); /* it was only read */
    }
}
#define auto_close_file __attribute__((cleanup(close_file)))

/* The whole of it, at most what the readers take. Ownership of *ret_text goes to the caller. */
static int read_all(FILE *file, char **ret_text, size_t *ret_len) {
    ma_auto_free char *text = NULL;
    size_t size = 0;
    size_t len = 0;

    for (;;) {
        if (len == size) {
            char *larger;

            size = size == 0 ? 65536 : size * 2;
            larger = size > 2 * MA_FORMATS_TEXT_MAX_BYTES ? NULL : realloc(text, size);
            if (larger == NULL) {
                return size > 2 * MA_FORMATS_TEXT_MAX_BYTES ? -EFBIG : -ENOMEM;
            }
            text = larger;
        }
        len += fread(text + len, 1, size - len, file);
        if (ferror(file)) {
            return -EIO;
        }
        if (feof(file)) {
            *ret_text = ma_steal(&text);
            *ret_len = len;
            return 0;
        }
    }
}

static int plan_file(struct ma_offline *offline, const char *path) {
    auto_close_file FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    ma_auto_free char *text = NULL;
    struct ma_err err = {0};
    const char *json;
    size_t len = 0;
    int r;

    if (file == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", path, strerror(errno));
    }
    r = read_all(file, &text, &len);
    if (r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", path, strerror(-r));
    }
    r = ma_cmd_plan_text(offline, text, len, &json, &err);
    if (r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", path, err.message);
    }
    if (puts(json) < 0 || fflush(stdout) != 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "standard output: %s", strerror(errno));
    }
    return MA_EXIT_OK;
}

/* In a plan's place, since whoever plays the host waits for one answer a line: {"error": ..., "line": N}. */
static int answer_error(const char *message, uint64_t line) {
    json_t *object =
        json_pack("{s:s%, s:I}", "error", message, strlen(message), "line", (json_int_t) line);

    if (object == NULL) { /* not UTF-8: say at least where */
        object = json_pack("{s:s, s:I}", "error", "unreadable line", "line", (json_int_t) line);
    }
    int r = object != NULL ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
    json_decref(object);
    return r == 0 ? puts("") : r;
}

static int plan_stream(struct ma_offline *offline) {
    ma_auto_free char *text = NULL;
    size_t size = 0;
    uint64_t line = 0;
    int result = MA_EXIT_OK;
    ssize_t len;

    while ((len = getline(&text, &size, stdin)) >= 0) {
        struct ma_err err = {0};
        const char *json;

        line++;
        if (len == 0 || (len == 1 && text[0] == '\n')) {
            continue;
        }
        int r = ma_cmd_plan_text(offline, text, (size_t) len, &json, &err);
        if (r < 0) {
            result = ma_cli_fail(MA_EXIT_ERROR, "line %" PRIu64 ": %s", line, err.message);
        }
        r = r < 0 ? answer_error(err.message, line) : puts(json);
        if (r < 0 || fflush(stdout) != 0) {
            return ma_cli_fail(MA_EXIT_ERROR, "standard output: %s", strerror(errno));
        }
    }
    return ferror(stdin) ? ma_cli_fail(MA_EXIT_ERROR, "standard input: %s", strerror(errno))
                         : result;
}

static int usage(void) {
    return ma_cli_fail(MA_EXIT_USAGE,
                       "usage: memarbctl plan {--snapshot FILE | --stream} [--config FILE] "
                       "[--policy NAME] [--json]");
}

static int parse(int argc, char **argv, struct plan_options *options) {
    static const struct option long_options[] = {
        {"snapshot", required_argument, NULL, 's'}, {"stream", no_argument, NULL, 'S'},
        {"policy", required_argument, NULL, 'p'},   {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},           {0},
    };
    int c;

    optind = 0; /* another command line was read before */
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == 's') {
            options->snapshot = optarg;
        } else if (c == 'S') {
            options->is_stream = true;
        } else if (c == 'p') {
            options->policy = optarg;
        } else if (c == 'c') {
            options->config = optarg;
        } else if (c != 'j') { /* the answer is JSON anyway */
            return usage();
        }
    }
    if (optind < argc || (options->snapshot != NULL) == options->is_stream) {
        return usage();
    }
    return MA_EXIT_OK;
}

static int find_policy(const char *name, const struct ma_policy **ret) {
    const struct ma_policy *policy = ma_policy_find(name);

    if (policy == NULL) {
        (void) ma_cli_fail(MA_EXIT_USAGE, "there is no policy \"%s\"; there are:", name);
        for (size_t k = 0; (policy = ma_policy_at(k)) != NULL; k++) {
            (void) fprintf(stderr, "  %-12s %s\n", policy->name, policy->summary);
        }
        return MA_EXIT_USAGE;
    }
    *ret = policy;
    return MA_EXIT_OK;
}

int ma_cmd_plan(int argc, char **argv) {
    struct plan_options options = {0};
    struct ma_config *config = NULL;
    struct ma_offline offline;
    struct ma_err err = {0};
    int result = parse(argc, argv, &options);

    ma_offline_init(&offline);
    if (result == MA_EXIT_OK && options.policy != NULL) {
        result = find_policy(options.policy, &offline.policy);
    }
    if (result == MA_EXIT_OK && options.config != NULL &&
        ma_config_load(options.config, &config, &err) < 0) {
        result = ma_cli_fail(MA_EXIT_ERROR, "%s", err.message);
    }
    offline.config = config;
    offline.is_stream = options.is_stream;
    if (result == MA_EXIT_OK) {
        result = options.is_stream ? plan_stream(&offline) : plan_file(&offline, options.snapshot);
    }
    ma_offline_fini(&offline);
    ma_config_destroy(config);
    return result;
}
