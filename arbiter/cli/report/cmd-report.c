/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-report.c - memarbctl report: what happened, from the record, without a daemon: a page, JSON, or a few lines. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"
#include "config.h"
#include "new-file.h"
#include "page.h"
#include "print-json.h"
#include "table.h"
#include "words.h"

#define RECORD_STANDARD "/var/lib/memarb"
#define RECORD_PATH_MAX 1024

struct report_command {
    struct report_options options;
    char files[2][RECORD_PATH_MAX];
    const char *record; /* folder or file; NULL: as configured */
    const char *config;
    const char *html; /* NULL: none; "-": standard output */
    bool is_forced;
    bool is_json;
};

static int usage(void) {
    return ma_cli_fail(
        MA_EXIT_USAGE,
        "usage: memarbctl report [--html FILE [--force]] [--since TIME] [--until TIME] "
        "[--record DIR] [--config FILE] [--json]");
}

/* Local time of this machine, with or without seconds; a date alone is its midnight. */
static bool parse_date(const char *text, uint64_t *ret_usec) {
    static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
                                          "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &parts);
        if (end != NULL && *end == '\0') {
            time_t seconds = mktime(&parts);
            *ret_usec = seconds > 0 ? (uint64_t) seconds * MA_USEC_PER_SEC : 0;
            return seconds > 0;
        }
    }
    return false;
}

/* A time ago with its unit, or a date. */
static int parse_time(const char *option, const char *text, uint64_t *ret_usec) {
    uint64_t ago = 0;
    struct timespec now;
    if (ma_parse_usec(text, &ago) == 0) {
        (void) clock_gettime(CLOCK_REALTIME, &now);
        *ret_usec = ma_sub_floor0((uint64_t) now.tv_sec * MA_USEC_PER_SEC, ago);
        return MA_CLI_GO_ON;
    }
    if (parse_date(text, ret_usec)) {
        return MA_CLI_GO_ON;
    }
    return ma_cli_fail(MA_EXIT_USAGE,
                       "%s=%s: write how long ago, such as 2h, or a date, such as \"2030-01-31 "
                       "14:30\"",
                       option, text);
}

static int take_option(struct report_command *command, int option) {
    switch (option) {
    case 's':
        return parse_time("--since", optarg, &command->options.since_usec);
    case 'u':
        return parse_time("--until", optarg, &command->options.until_usec);
    case 'r':
        command->record = optarg;
        return MA_CLI_GO_ON;
    case 'c':
        command->config = optarg;
        return MA_CLI_GO_ON;
    case 'h':
        command->html = optarg;
        return MA_CLI_GO_ON;
    case 'f':
        command->is_forced = true;
        return MA_CLI_GO_ON;
    case 'j':
        command->is_json = true;
        return MA_CLI_GO_ON;
    default:
        return usage();
    }
}

static int parse(int argc, char **argv, struct report_command *command) {
    static const struct option long_options[] = {
        {"since", required_argument, NULL, 's'},  {"until", required_argument, NULL, 'u'},
        {"record", required_argument, NULL, 'r'}, {"config", required_argument, NULL, 'c'},
        {"html", required_argument, NULL, 'h'},   {"force", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},         {0},
    };
    int c;
    optind = 0; /* another command line was read before */
    command->options.until_usec = UINT64_MAX;
    while ((c = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
        int r = take_option(command, c);
        if (r != MA_CLI_GO_ON) {
            return r;
        }
    }
    if (optind != argc || (command->is_json && command->html != NULL)) {
        return usage();
    }
    return MA_CLI_GO_ON;
}

/* A record that memarbd was told to keep elsewhere is found through its configuration; one that cannot be read (a host
 * where the record was copied to has none) stands for the default. */
static void find_record(const struct report_command *command, char path[static RECORD_PATH_MAX]) {
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    const char *found = RECORD_STANDARD;
    if (command->record != NULL) {
        found = command->record;
    } else if (ma_config_load(command->config, &config, &err) == 0 &&
               config->record.directory[0] != '\0') {
        found = config->record.directory;
    }
    (void) snprintf(path, RECORD_PATH_MAX, "%s", found);
    ma_config_destroy(config);
}

static int set_files(struct report_command *command) {
    char path[RECORD_PATH_MAX];
    struct stat st;
    find_record(command, path);
    if (stat(path, &st) < 0) {
        return ma_cli_fail(errno == EACCES ? MA_EXIT_REFUSED : MA_EXIT_ERROR, "%s: %s", path,
                           strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        (void) memcpy(command->files[1], path, sizeof(path));
        command->options.files[1] = command->files[1];
        return MA_CLI_GO_ON;
    }
    static const char *const names[] = {"record.jsonl.1", "record.jsonl"};
    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(command->files[i], RECORD_PATH_MAX, "%s/%s", path, names[i]);
        if (n < 0 || n >= RECORD_PATH_MAX) {
            return ma_cli_fail(MA_EXIT_USAGE, "the record's path is too long");
        }
        command->options.files[i] = command->files[i];
    }
    return MA_CLI_GO_ON;
}

static int write_page(const struct report_command *command, struct report_data *data) {
    struct ma_err err = {0};
    struct ma_new_file file;
    if (strcmp(command->html, "-") == 0) {
        int r = report_page(stdout, data, &err);
        if (r == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
            r = ma_err_set(&err, -EIO, "the page cannot be written");
        }
        return r < 0 ? ma_cli_fail(MA_EXIT_ERROR, "%s", err.message) : MA_EXIT_OK;
    }
    int r = ma_new_file_open(&file, command->html, command->is_forced, &err);
    if (r == 0) {
        r = report_page(file.stream, data, &err);
        r = r < 0 ? r : ma_new_file_commit(&file, &err);
        ma_new_file_close(&file);
    }
    if (r < 0) {
        return ma_cli_fail(r == -EEXIST ? MA_EXIT_REFUSED : MA_EXIT_ERROR, "%s", err.message);
    }
    (void) printf("%s: %" PRIu64 " cycles, %zu incidents\n", command->html, data->n_cycles,
                  data->n_incidents);
    return MA_EXIT_OK;
}

static void print_incidents(const struct report_data *data) {
    struct ma_table table;
    ma_table_init(&table, "FROM LASTED WORST +AVAILABLE +GENTLE +VICTIMS", false);
    for (size_t i = 0; i < data->n_incidents; i++) {
        const struct report_incident *incident = &data->incidents[i];
        char text[REPORT_WHEN_MAX];
        char lasted[MA_FORMAT_MAX];
        ma_table_add(&table, MA_COLOR_NONE, report_when(text, incident->from_usec));
        ma_table_add(&table, MA_COLOR_NONE,
                     ma_format_usec(lasted, (incident->to_usec - incident->from_usec) /
                                                MA_USEC_PER_MSEC * MA_USEC_PER_MSEC));
        ma_table_add(&table, MA_COLOR_NONE, ma_pressure_name(incident->worst));
        ma_table_add(&table, MA_COLOR_NONE,
                     ma_format_bytes(lasted, incident->least_available_bytes));
        ma_table_add_number(&table, MA_COLOR_NONE, true, incident->n_gentle);
        ma_table_add_number(&table, MA_COLOR_NONE, true, incident->n_victims);
    }
    ma_table_print(&table, 0);
}

/* Of those of which both are known. */
static void print_returns(const struct report_data *data, enum ma_action action) {
    uint64_t predicted = 0;
    uint64_t returned = 0;
    char predicted_text[MA_FORMAT_MAX];
    char returned_text[MA_FORMAT_MAX];
    for (size_t i = 0; i < data->n_returns; i++) {
        if (data->returns[i].action == action && data->returns[i].is_known) {
            predicted = ma_add_sat(predicted, data->returns[i].predicted_bytes);
            returned = ma_add_sat(returned, data->returns[i].returned_bytes);
        }
    }
    if (predicted > 0) {
        (void) printf("; %s came back, %s was predicted", ma_format_bytes(returned_text, returned),
                      ma_format_bytes(predicted_text, predicted));
    }
    (void) putchar('\n');
}

static void print_reasons(const char *what, const struct report_reason_count *counts) {
    for (size_t i = 0; i < REPORT_REASONS_MAX && counts[i].n > 0; i++) {
        const char *text = ma_cli_reason_text(counts[i].reason);
        (void) printf("%s: %" PRIu64 " (%s)\n", what, counts[i].n,
                      text != NULL ? text : counts[i].reason);
    }
}

static int print_text(const struct report_data *data) {
    char from[REPORT_WHEN_MAX];
    char to[REPORT_WHEN_MAX];
    char least[MA_FORMAT_MAX];
    (void) printf("%s to %s: %" PRIu64 " cycles, %zu guests, least available %s\n",
                  report_when(from, data->first_usec), report_when(to, data->last_usec),
                  data->n_cycles, data->n_guests,
                  ma_format_bytes(least, data->least_available_bytes));
    if (data->n_incidents == 0) {
        (void) puts("No incident: pressure was normal all the time.");
    } else {
        print_incidents(data);
    }
    for (unsigned action = 0; action < MA_ACTION_COUNT; action++) {
        if (data->n_taken[action] > 0) {
            (void) printf("%s: %" PRIu64, ma_action_name((enum ma_action) action),
                          data->n_taken[action]);
            print_returns(data, (enum ma_action) action);
        }
    }
    print_reasons("planned and not taken", data->withheld);
    print_reasons("trimmed by the guard", data->trimmed);
    if (data->n_broken > 0) {
        (void) printf("%" PRIu64 " lines cannot be read and were left out\n", data->n_broken);
    }
    return fflush(stdout) == 0 ? MA_EXIT_OK : MA_EXIT_ERROR;
}

static int show(const struct report_command *command, struct report_data *data) {
    char from[REPORT_WHEN_MAX];
    char to[REPORT_WHEN_MAX];
    if (data->n_cycles == 0) {
        return data->n_lines == 0
                   ? ma_cli_fail(MA_EXIT_NOT_FOUND, "the record has no cycle yet")
                   : ma_cli_fail(MA_EXIT_NOT_FOUND,
                                 "the record has nothing of that time; it goes from %s to %s",
                                 report_when(from, data->covers_from_usec),
                                 report_when(to, data->covers_to_usec));
    }
    if (command->html != NULL) {
        return write_page(command, data);
    }
    return command->is_json ? report_print_json(data) : print_text(data);
}

int ma_cmd_report(int argc, char **argv) {
    struct report_command command = {.record = NULL};
    struct report_data data;
    struct ma_err err = {0};
    int result = parse(argc, argv, &command);
    result = result == MA_CLI_GO_ON ? set_files(&command) : result;
    if (result != MA_CLI_GO_ON) {
        return result;
    }
    if (report_gather(&command.options, &data, &err) < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s", err.message);
    }
    result = show(&command, &data);
    report_data_fini(&data);
    return result;
}
