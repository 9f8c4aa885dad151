/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-ini.c - a file's text through libinih, with the places that it does not tell.
 *
 * libinih 55 as Debian builds it has no line number in its handler, cuts lines at 200 and section names at 50 bytes
 * without a word, ends a section at the first `]` (which an XPath has many of), takes ` ;` for a comment inside a
 * value, and takes an indented line for the continuation of the value before. Each would change a setting silently.
 * So the lines pass through a reader of ours first: it counts them, keeps the section's text itself, refuses what
 * would be cut, and removes the indentation. libinih does the rest: comments, key, separator, value. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config-internal.h"

struct reader {
    struct ma_config_load *load;
    const char *at;
    const char *end;
};

static void begin_section(struct ma_config_load *load, const char *text, size_t len) {
    (void) snprintf(load->section, sizeof(load->section), "%.*s", (int) len, text);
    (void) memset(load->guest_seen_line, 0, sizeof(load->guest_seen_line));
    load->scope = MA_SCOPE_UNKNOWN;
    size_t guest = strlen(MA_CONFIG_GUEST_SECTION);
    if (len >= sizeof(load->section)) {
        ma_config_report(load, "the section's name is too long; at most 540 bytes");
    } else if (ma_config_has_section(load->section)) {
        bool is_namespaces = strcmp(load->section, MA_CONFIG_NAMESPACES_SECTION) == 0;
        load->scope = is_namespaces ? MA_SCOPE_NAMESPACES : MA_SCOPE_PLAIN;
    } else if (strncmp(load->section, MA_CONFIG_GUEST_SECTION, guest) == 0 &&
               (load->section[guest] == ' ' || load->section[guest] == '\0')) {
        const char *match = load->section + guest;
        match += strspn(match, " \t");
        load->scope = ma_config_open_rule(load, match) ? MA_SCOPE_GUEST : MA_SCOPE_UNKNOWN;
    } else {
        const char *near = ma_config_nearest_section(load->section);
        ma_config_report(
            load, "unknown section [%.64s]; %s%s%s", load->section,
            near != NULL
                ? "did you mean ["
                : "known: [Arbiter], [Host], [Record], [Control], [Namespaces], [Guest MATCH",
            near != NULL ? near : "", "]?");
    }
}

/* A header line: the section ends at the line's last `]`. */
static void read_header(struct ma_config_load *load, const char *line, size_t len) {
    if (line[len - 1] != ']') {
        ma_config_report(load, "the section's name does not end with ]");
        load->scope = MA_SCOPE_UNKNOWN;
        return;
    }
    begin_section(load, line + 1, len - 2);
}

static bool has_inline_comment(const char *line, size_t len) {
    for (size_t i = 1; i < len; i++) {
        if ((line[i] == ';' || line[i] == '#') && isblank((unsigned char) line[i - 1])) {
            return true;
        }
    }
    return false;
}

/* Is it a line that libinih may see as it is? What is wrong with it is reported. */
static bool is_key_line(struct ma_config_load *load, const char *line, size_t len) {
    const char *equals = memchr(line, '=', len);
    if (memchr(line, '\0', len) != NULL) {
        ma_config_report(load, "a NUL byte; this is no text file");
    } else if (load->scope == MA_SCOPE_NONE) {
        ma_config_report(load, "a key before the first section; begin with [Arbiter]");
    } else if (equals == NULL) {
        ma_config_report(load, "no = in this line; write Key=value, [Section] or # comment");
    } else if (equals == line) {
        ma_config_report(load, "no key before the =; write Key=value");
    } else if (memchr(line, ':', (size_t) (equals - line)) != NULL) {
        ma_config_report(load, "a : in the key's name; write Key=value");
    } else if (len > MA_CONFIG_LINE_MAX) {
        ma_config_report(load, "the line is too long; at most %u bytes", MA_CONFIG_LINE_MAX);
    } else if (has_inline_comment(line, len)) {
        ma_config_report(load, "a comment behind a value; give it a line of its own");
    } else {
        return true;
    }
    return false;
}

/* fgets() for libinih: one line a call. A line that is not for it becomes an empty one. */
static char *read_line(char *buf, int size, void *stream) {
    struct reader *reader = stream;
    if (reader->at >= reader->end || size < (int) MA_CONFIG_LINE_MAX + 3) {
        return NULL;
    }
    size_t rest = (size_t) (reader->end - reader->at);
    const char *newline = memchr(reader->at, '\n', rest);
    size_t len = newline != NULL ? (size_t) (newline - reader->at) : rest;
    const char *line = reader->at;
    reader->at += newline != NULL ? len + 1 : len;
    reader->load->line++;
    while (len > 0 && isspace((unsigned char) line[0])) {
        line++;
        len--;
    }
    while (len > 0 && isspace((unsigned char) line[len - 1])) {
        len--;
    }
    (void) memcpy(buf, "\n", 2);
    if (len == 0 || line[0] == '#' || line[0] == ';') {
        return buf;
    }
    if (line[0] == '[') {
        read_header(reader->load, line, len);
    } else if (is_key_line(reader->load, line, len)) {
        (void) memcpy(buf, line, len);
        (void) memcpy(buf + len, "\n", 2);
    }
    return buf;
}

static void report_unknown_key(struct ma_config_load *load, const char *section, const char *name) {
    const char *near = ma_config_nearest_key(section, name);
    const char *elsewhere = ma_config_section_of(name);
    if (elsewhere != NULL) {
        ma_config_report(load, "%s= belongs to [%s], not to [%.64s]", name, elsewhere,
                         load->section);
    } else if (near != NULL) {
        ma_config_report(load, "unknown key %.64s= in [%.64s]; did you mean %s=?", name,
                         load->section, near);
    } else {
        ma_config_report(load, "unknown key %.64s= in [%.64s]; memarb.conf(5) lists them", name,
                         load->section);
    }
}

/* true when the key has not stood in this file (or guest section) yet. */
static bool is_first(struct ma_config_load *load, unsigned *seen_line, const char *name) {
    if (*seen_line != 0) {
        ma_config_report(load, "%s= stands in line %u already; keep one of them", name, *seen_line);
        return false;
    }
    *seen_line = load->line;
    return true;
}

static void take_plain(struct ma_config_load *load, const char *name, const char *value) {
    int index = ma_config_key_find(load->section, name);
    if (index < 0) {
        report_unknown_key(load, load->section, name);
        return;
    }
    const struct ma_config_key *key = ma_config_key_at((size_t) index);
    if (is_first(load, &load->seen_line[index], name) && ma_config_set(load, key, value)) {
        load->owned->config.said[index / 64] |= UINT64_C(1) << (index % 64);
        load->places[index] = (struct ma_config_place){load->file, load->line};
    }
}

static void take_guest(struct ma_config_load *load, const char *name, const char *value) {
    int index = ma_config_guest_key_find(name);
    if (index < 0) {
        report_unknown_key(load, NULL, name);
        return;
    }
    const struct ma_config_key *key = ma_config_guest_key_at((size_t) index);
    if (is_first(load, &load->guest_seen_line[index], name)) {
        (void) ma_config_set_guest(load, key, value, &load->owned->rules[load->owned->n_rules - 1]);
    }
}

static int take_pair(void *userdata, const char *section, const char *name, const char *value) {
    struct ma_config_load *load = userdata;
    (void) section; /* cut at 50 bytes; load->section is whole */
    switch (load->scope) {
    case MA_SCOPE_PLAIN:
        take_plain(load, name, value);
        break;
    case MA_SCOPE_GUEST:
        take_guest(load, name, value);
        break;
    case MA_SCOPE_NAMESPACES:
        (void) ma_config_add_namespace(load, name, value);
        break;
    case MA_SCOPE_NONE:
    case MA_SCOPE_UNKNOWN:
    default:
        break;
    }
    return 1;
}

void ma_config_read_text(struct ma_config_load *load,
                         const char *file,
                         const char *text,
                         size_t len) {
    /* A byte order mark would make the first header an unknown line. */
    static const char bom[] = "\xef\xbb\xbf";
    if (len >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
        len -= 3;
    }
    struct reader reader = {load, text, text + len};
    load->file = file;
    load->line = 0;
    load->scope = MA_SCOPE_NONE;
    (void) memset(load->seen_line, 0, sizeof(load->seen_line));
    load->first_rule_of_file = load->owned->n_rules;
    load->first_namespace_of_file = load->owned->n_namespaces;
    int r = ini_parse_stream(read_line, &reader, take_pair, load);
    if (r != 0) {
        /* Cannot happen with lines that passed is_key_line(); said all the same rather than lost. */
        ma_config_report(load, "libinih cannot read line %d", r);
    }
}
