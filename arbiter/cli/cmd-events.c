/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-events.c - the past events that memarbd still knows, and those to come. The journal has all of them. Filters are the
 * client's own: an event is a line of text, and a subscriber that reads few of them costs the daemon as much as one that
 * reads all. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "cli.h"

#define PAST_EVENTS 256

static const char *const levels[] = {"err", "warning", "notice", "info", "debug"};

struct follower {
    const struct ma_cli *cli;
    uint64_t from_usec; /* CLOCK_REALTIME */
};

static uint64_t realtime_usec(void) {
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * MA_USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static void print_text(const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char) *text;
        (void) putchar(byte < 0x20 || byte == 0x7F ? '?' : byte);
    }
}

static void print_event(const json_t *event) {
    uint64_t usec = (uint64_t) ma_cli_number(event, "realtime_usec");
    time_t seconds = (time_t) (usec / MA_USEC_PER_SEC);
    struct tm parts;
    char when[32] = "-";
    if (usec > 0 && localtime_r(&seconds, &parts) != NULL) {
        (void) strftime(when, sizeof(when), "%F %T", &parts);
    }
    (void) printf("%s  %-16s  ", when, ma_cli_text(event, "kind"));
    if (ma_cli_has(event, "name")) {
        print_text(ma_cli_text(event, "name"));
        (void) fputs(": ", stdout);
    }
    print_text(ma_cli_text(event, "message"));
    (void) putchar('\n');
}

/* One of the comma-separated words. */
static bool is_word_of(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; length > 0 && at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Its uuid or name, or the beginning of either: events of guests that are gone have to be found, too. */
static bool is_about(const json_t *event, const char *guest) {
    size_t length = strlen(guest);
    return ma_cli_has(event, "guest") &&
           (strncmp(ma_cli_text(event, "guest"), guest, length) == 0 ||
            strncmp(ma_cli_text(event, "name"), guest, length) == 0);
}

/* The place in this list; 0: none of it. The worst comes first. */
static size_t severity(const char *level) {
    size_t n = sizeof(levels) / sizeof(levels[0]);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(levels[i], level) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static bool is_wanted(const struct follower *follower, const json_t *event) {
    const struct ma_cli *cli = follower->cli;
    bool is_of_kind = cli->kinds == NULL || is_word_of(cli->kinds, ma_cli_text(event, "kind")) ||
                      is_word_of(cli->kinds, ma_cli_text(event, "action"));
    return (uint64_t) ma_cli_number(event, "realtime_usec") >= follower->from_usec && is_of_kind &&
           (cli->guest == NULL || is_about(event, cli->guest)) &&
           (cli->level == NULL || severity(ma_cli_text(event, "level")) <= severity(cli->level));
}

static int on_event(void *userdata, const json_t *parameters) {
    const struct follower *follower = userdata;
    const json_t *event = json_object_get(parameters, "event");
    int64_t lost = ma_cli_number(parameters, "lost");
    if (lost > 0) {
        (void) fprintf(
            stderr,
            "memarbctl: %" PRId64 " events were lost here; journalctl -u memarbd has them\n", lost);
    }
    if (strcmp(ma_cli_text(event, "kind"), "subscribed") == 0) {
        (void) fflush(stdout);
        return follower->cli->is_follow ? MA_CLI_GO_ON : MA_EXIT_OK;
    }
    if (!is_wanted(follower, event)) {
        return MA_CLI_GO_ON;
    }
    if (follower->cli->is_json) {
        (void) json_dumpf(event, stdout, JSON_COMPACT);
        (void) putchar('\n');
    } else {
        print_event(event);
    }
    return follower->cli->is_follow && fflush(stdout) != 0 ? MA_EXIT_ERROR : MA_CLI_GO_ON;
}

int ma_cmd_events(const struct ma_cli *cli) {
    struct follower follower = {.cli = cli};
    if (cli->level != NULL && severity(cli->level) == 0) {
        return ma_cli_fail(MA_EXIT_USAGE, "--level=%s: write err, warning, notice, info or debug",
                           cli->level);
    }
    if (cli->has_since) {
        follower.from_usec = ma_sub_floor0(realtime_usec(), cli->since_usec);
    }
    return ma_cli_stream(cli, "io.memarb.Arbiter.Subscribe",
                         json_pack("{s:i}", "last", PAST_EVENTS), on_event, &follower);
}
