/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* config-internal.h - what the files of this folder share while a configuration is being read. */

#include <stdbool.h>
#include <stddef.h>

#include "config-keys.h"
#include "config.h"

/* Bounds on what a configuration may be, so that a wrong file (a disk image, say) is refused at once. */
#define MA_CONFIG_FILE_BYTES_MAX (1U << 20)
#define MA_CONFIG_FILES_MAX      128U
#define MA_CONFIG_RULES_MAX      4096U
#define MA_CONFIG_NAMESPACES_MAX 64U
#define MA_CONFIG_GLOBS_MAX      64U
/* libinih cuts a line silently where its 200 bytes (with CR, LF and NUL) end: longer ones are refused instead. */
#define MA_CONFIG_LINE_MAX 197U
#define MA_CONFIG_KEYS_MAX 128U

struct ma_config_place {
    const char *file; /* NULL: the default */
    unsigned line;
};

/* A configuration and everything that it owns; `config` first, so that one is the other. */
struct ma_config_owned {
    struct ma_config config;
    char **strings;
    size_t n_strings;
    struct ma_guest_rule *rules;
    struct ma_config_place *rule_places;
    size_t n_rules, max_rules;
    struct ma_rule_namespace *namespaces;
    size_t n_namespaces;
};

enum ma_config_scope {
    MA_SCOPE_NONE,    /* before the first section */
    MA_SCOPE_UNKNOWN, /* reported already: its keys are passed over */
    MA_SCOPE_PLAIN,
    MA_SCOPE_NAMESPACES,
    MA_SCOPE_GUEST,
};

struct ma_config_load {
    struct ma_config_owned *owned;
    ma_config_problem_fn problem;
    void *userdata;
    struct ma_err *err; /* the first problem */
    unsigned n_problems;
    bool is_out_of_memory;
    bool is_for_release; /* problems are reported and end nothing */

    const char *file;
    unsigned line;
    enum ma_config_scope scope;
    char section[MA_RULE_PATTERN_MAX + 32];
    struct ma_config_place places[MA_CONFIG_KEYS_MAX]; /* where each key was last said */
    unsigned seen_line[MA_CONFIG_KEYS_MAX];            /* in this file; 0: not */
    unsigned guest_seen_line[32];                      /* in this section */
    size_t first_rule_of_file;
    size_t first_namespace_of_file;
};

/* "FILE:LINE: ..." to the caller; the first one also into err. */
void ma_config_report(struct ma_config_load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ma_config_report_at(struct ma_config_load *load,
                         const struct ma_config_place *place,
                         const char *format,
                         ...) __attribute__((format(printf, 3, 4)));

/* A copy that lives as long as the configuration, or NULL (then is_out_of_memory is set). */
const char *ma_config_keep(struct ma_config_load *load, const char *text);

/* Sets the value of a plain key; reports what is wrong with it. */
bool ma_config_set(struct ma_config_load *load, const struct ma_config_key *key, const char *value);
bool ma_config_set_guest(struct ma_config_load *load,
                         const struct ma_config_key *key,
                         const char *value,
                         struct ma_guest_rule *rule);
/* [Guest kind:pattern] opened; false: reported. */
bool ma_config_open_rule(struct ma_config_load *load, const char *match);
bool ma_config_add_namespace(struct ma_config_load *load, const char *prefix, const char *uri);

/* One file's text through libinih; everything found goes into load. */
void ma_config_read_text(struct ma_config_load *load,
                         const char *file,
                         const char *text,
                         size_t len);
/* What single values cannot show. */
void ma_config_check_contradictions(struct ma_config_load *load);
