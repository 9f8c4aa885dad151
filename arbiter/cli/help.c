/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* help.c - what memarbctl can do, and of one command the part that is its own.
 *
 * There is one text. Its entries begin two columns in (commands) or with a dash (options), and go on in lines that begin
 * with WRAPPED. An option says which commands it is for before a colon, or after a semicolon and before another; one that
 * names none is for all. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define WRAPPED "                         "

static const char help[] =
    "Usage: memarbctl [OPTION...] COMMAND\n"
    "Asks and steers memarbd, the memory arbiter of this host.\n"
    "\n"
    "Commands:\n"
    "  status                 the host, its pressure, what is armed, what was taken\n"
    "  guests                 every guest with its memory and what its loss costs\n"
    "  top                    both, full-screen and live; ? lists its keys\n"
    "  explain GUEST          why it would be chosen or not: every term, every option\n"
    "  plan                   what memarbd would do now\n"
    "  plan --snapshot FILE   the same for a snapshot file, without a daemon\n"
    "  plan --stream          the same for each snapshot on standard input\n"
    "  replay FILE            decide a record again and compare to the byte\n"
    "  simulate SCENARIO...   policies compared on simulated hours\n"
    "  report                 what happened, from the record; with --html as a page\n"
    "  events                 the last events; with --follow also those to come\n"
    "  arm RUNG               really take rungs up to observe, reclaim, pause or kill\n"
    "  disarm                 back to observe\n"
    "  show DOMAIN            what holds for it, and where each value comes from\n"
    "  show --xml FILE        the same for a definition in a file, without libvirt\n"
    "  set DOMAIN KEY=VALUE...  its settings, in its metadata; KEY= takes one away\n"
    "  enable DOMAIN          give it what memarb works best with: the agent's channel, balloon\n"
    "                         statistics, free page reporting, the fast path; shown first\n"
    "  disable DOMAIN         take exactly that out again\n"
    "  doctor                 what this host and its guests lack, what fights memarb, and the\n"
    "                         remedy for each; its errors must be mended before arm\n"
    "  hold GUEST TIME        leave it alone for so long (30min, 2h; 0 lifts the hold)\n"
    "  release GUEST          give back what was taken from it\n"
    "  release [--all]        give everything back; works without memarbd, too\n"
    "  reload                 read the configuration again\n"
    "  admit -- DOMAIN OPERATION SUBOPERATION EXTRA\n"
    "                         for libvirt's qemu hook: may this guest start?\n"
    "  admit --xml=FILE       the same by hand, for a definition\n"
    "  readmit UUID           a guest that memarb ended may start again\n"
    "  check-config [FILE]    every problem of the configuration, or that it is good\n"
    "  version                the version\n"
    "  help                   this text\n"
    "\n"
    "Options:\n"
    "  -j, --json             JSON instead of tables\n"
    "      --socket=PATH      memarbd's socket (default: " MA_CLI_SOCKET_DEFAULT ")\n"
    "  -f, --follow           events: go on with those to come\n"
    "      --since=TIME       events, report: only the last TIME (10min, 1h); report: also a "
    "date,\n"
    "                         \"2030-01-31 14:30\"\n"
    "      --guest=GUEST      events: only of this guest, which may be gone\n"
    "      --kind=KIND,...    events: only of these kinds or actions (state, kill, hook, ...)\n"
    "      --level=LEVEL      events: only as bad as err, warning, notice, info or debug\n"
    "      --all              release: everything\n"
    "      --once             top: print it once, for scripts\n"
    "      --force            arm: in spite of doctor's errors; report: replace the file\n"
    "      --offline          release: never ask a daemon, run memarbd --release\n"
    "      --run-dir=DIR      release without memarbd: its run folder (default: /run/memarb)\n"
    "      --config=FILE      admit, release --offline, plan --snapshot, report, show, set,\n"
    "                         enable, disable, doctor, arm: memarbd's configuration\n"
    "      --timeout=TIME     admit: longest time for an answer (default: 1s)\n"
    "      --defaults         check-config: print every key with its default\n"
    "      --snapshot=FILE    plan: decide on this snapshot\n"
    "      --stream           plan: decide on each line of standard input\n"
    "      --policy=NAME      plan --snapshot, plan --stream, replay: decide by this policy;\n"
    "                         simulate: by each of these, comma-separated\n"
    "      --runs=N           simulate: so many runs, each with the next seed\n"
    "      --seed=N           simulate: the first seed instead of the scenario's\n"
    "      --html=FILE        report: a page with charts and tables, in one file (-: on standard\n"
    "                         output)\n"
    "      --until=TIME       report: up to then\n"
    "      --record=DIR       report: this record instead of memarbd's\n"
    "      --svg=FILE         simulate: draw the first run\n"
    "      --connect=URI      show, set, enable, disable, doctor: libvirt's connection\n"
    "                         instead of LibvirtUri=\n"
    "      --from=live|config set: which metadata holds where they differ\n"
    "  -n, --dry-run          set, enable, disable: show the difference, change nothing;\n"
    "                         admit: hold nothing\n"
    "  -y, --yes              enable, disable: do not ask\n"
    "      --live             enable, disable: also in the running guest, what it can be given\n"
    "      --no-monitor       enable: without the fast path\n"
    "      --xml=FILE         show, admit: this definition (admit, -: standard input)\n"
    "  -h, --help             this text, or behind a command the part that is its own\n"
    "      --version          the version\n"
    "\n"
    "GUEST is a uuid, a name, or the unique beginning of either.\n"
    "Exit codes: 0 good, 1 error, 2 usage, 3 no daemon, 4 refused, 5 no such guest,\n"
    "6 doctor has warnings.\n";

struct entry {
    const char *text;
    size_t len;
    bool is_option;
};

static size_t line_length(const char *text) {
    const char *end = strchr(text, '\n');
    return end != NULL ? (size_t) (end - text) + 1 : strlen(text);
}

/* The entry at or behind *at, which is moved behind it. False: no more. */
static bool next_entry(const char **at, struct entry *ret) {
    while (**at != '\0' && strncmp(*at, "  ", 2) != 0) {
        *at += line_length(*at);
    }
    if (**at == '\0') {
        return false;
    }
    *ret = (struct entry){.text = *at};
    do {
        *at += line_length(*at);
    } while (strncmp(*at, WRAPPED, sizeof(WRAPPED) - 1) == 0);
    ret->len = (size_t) (*at - ret->text);
    ret->is_option = ret->text[strspn(ret->text, " ")] == '-';
    return true;
}

static bool is_in_word(char c) {
    return (c >= 'a' && c <= 'z') || c == '-';
}

/* Does the word stand there by itself, between text and end? */
static bool has_word(const char *text, const char *end, const char *word, size_t len) {
    for (const char *p = text; p + len <= end; p++) {
        bool begins = p == text || !is_in_word(p[-1]);
        if (begins && strncmp(p, word, len) == 0 && (p + len == end || !is_in_word(p[len]))) {
            return true;
        }
    }
    return false;
}

/* Of an option: is the command named where its commands are? Column 25 is where the description begins. */
static bool names(const struct entry *option, const char *command, size_t len) {
    const char *end = option->text + option->len;
    const char *from = option->text + sizeof(WRAPPED) - 1;
    while (from < end) {
        const char *stop = memchr(from, ';', (size_t) (end - from));
        const char *segment_end = stop != NULL ? stop : end;
        const char *colon = memchr(from, ':', (size_t) (segment_end - from));
        if (colon != NULL && has_word(from, colon, command, len)) {
            return true;
        }
        from = segment_end + 1;
    }
    return false;
}

static size_t command_length(const struct entry *entry) {
    size_t n = 0;
    while (is_in_word(entry->text[2 + n])) {
        n++;
    }
    return n;
}

static bool names_any(const struct entry *option) {
    const char *at = help;
    struct entry entry;
    while (next_entry(&at, &entry)) {
        if (!entry.is_option && names(option, entry.text + 2, command_length(&entry))) {
            return true;
        }
    }
    return false;
}

static void print_command(const char *command, size_t len) {
    const char *at = help;
    struct entry entry;
    bool is_first_option = true;
    (void) printf("Usage: memarbctl [OPTION...] %s ...\n\n", command);
    while (next_entry(&at, &entry)) {
        bool is_its_own = entry.is_option ? names(&entry, command, len) || !names_any(&entry)
                                          : command_length(&entry) == len &&
                                                strncmp(entry.text + 2, command, len) == 0;
        if (is_its_own && entry.is_option && is_first_option) {
            (void) puts("\nOptions:");
            is_first_option = false;
        }
        if (is_its_own) {
            (void) printf("%.*s", (int) entry.len, entry.text);
        }
    }
    (void) puts("\nmemarbctl(1) has more of it; memarbctl --help has all commands.");
}

static bool is_command(const char *command, size_t len) {
    const char *at = help;
    struct entry entry;
    while (next_entry(&at, &entry)) {
        if (!entry.is_option && command_length(&entry) == len &&
            strncmp(entry.text + 2, command, len) == 0) {
            return true;
        }
    }
    return false;
}

int ma_cli_help(const char *command) {
    size_t len = command != NULL ? strlen(command) : 0;
    if (command == NULL || strcmp(command, "help") == 0) {
        (void) fputs(help, stdout);
    } else if (is_command(command, len)) {
        print_command(command, len);
    } else {
        return ma_cli_fail(MA_EXIT_USAGE, "unknown command \"%.64s\"; memarbctl --help lists them",
                           command);
    }
    return fflush(stdout) != 0 || ferror(stdout) ? MA_EXIT_ERROR : MA_EXIT_OK;
}
