/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-rules.c - [Guest MATCH] sections and [Namespaces]: growing lists, in the order of the files. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config-internal.h"

static const struct {
    const char *prefix;
    enum ma_rule_match match;
} kinds[] = {
    {"uuid:", MA_RULE_UUID},
    {"name:", MA_RULE_NAME},
    {"title:", MA_RULE_TITLE},
    {"xpath:", MA_RULE_XPATH},
};

static bool is_uuid(const char *text) {
    for (size_t i = 0; i < 36; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !isxdigit((unsigned char) text[i])) {
            return false; /* also at an early end */
        }
    }
    return text[36] == '\0';
}

static struct ma_guest_rule *grow_rules(struct ma_config_load *load) {
    struct ma_config_owned *owned = load->owned;
    if (owned->n_rules == owned->max_rules) {
        size_t max = owned->max_rules == 0 ? 16 : owned->max_rules * 2;
        struct ma_guest_rule *rules = reallocarray(owned->rules, max, sizeof(*rules));
        if (rules != NULL) {
            owned->rules = rules;
        }
        struct ma_config_place *places = reallocarray(owned->rule_places, max, sizeof(*places));
        if (places != NULL) {
            owned->rule_places = places;
        }
        if (rules == NULL || places == NULL) {
            load->is_out_of_memory = true;
            return NULL;
        }
        owned->max_rules = max;
    }
    return &owned->rules[owned->n_rules];
}

/* The same match twice in one file is a slip; in a later file it adds to the earlier one. */
static bool
is_new_in_file(struct ma_config_load *load, enum ma_rule_match match, const char *pattern) {
    const struct ma_config_owned *owned = load->owned;
    for (size_t i = load->first_rule_of_file; i < owned->n_rules; i++) {
        if (owned->rules[i].match == match && strcmp(owned->rules[i].pattern, pattern) == 0) {
            ma_config_report(load, "[Guest %.64s] stands in line %u already; put its keys there",
                             pattern, owned->rules[i].line);
            return false;
        }
    }
    return true;
}

static bool
check_pattern(struct ma_config_load *load, enum ma_rule_match match, const char *pattern) {
    if (pattern[0] == '\0') {
        ma_config_report(load, "nothing to match; write a pattern behind the colon");
    } else if (strlen(pattern) >= MA_RULE_PATTERN_MAX) {
        ma_config_report(load, "the pattern is too long; at most %u bytes",
                         MA_RULE_PATTERN_MAX - 1U);
    } else if (match == MA_RULE_UUID && !is_uuid(pattern)) {
        ma_config_report(
            load,
            "uuid:%.64s is no UUID; write it as virsh domuuid prints it, or use name:", pattern);
    } else {
        return is_new_in_file(load, match, pattern);
    }
    return false;
}

bool ma_config_open_rule(struct ma_config_load *load, const char *match) {
    size_t kind = 0;
    while (kind < 4 && strncmp(match, kinds[kind].prefix, strlen(kinds[kind].prefix)) != 0) {
        kind++;
    }
    if (kind == 4) {
        ma_config_report(
            load,
            "[Guest %.64s]: write [Guest uuid:UUID], [Guest name:GLOB], [Guest title:GLOB] or "
            "[Guest xpath:EXPR]",
            match);
        return false;
    }
    const char *pattern = match + strlen(kinds[kind].prefix);
    if (!check_pattern(load, kinds[kind].match, pattern)) {
        return false;
    }
    if (load->owned->n_rules == MA_CONFIG_RULES_MAX) {
        ma_config_report(load, "too many [Guest ...] sections; at most %u", MA_CONFIG_RULES_MAX);
        return false;
    }
    struct ma_guest_rule *rule = grow_rules(load);
    if (rule == NULL) {
        return false;
    }
    *rule = (struct ma_guest_rule){.match = kinds[kind].match, .line = load->line};
    (void) memcpy(rule->pattern, pattern, strlen(pattern) + 1);
    load->owned->rule_places[load->owned->n_rules] =
        (struct ma_config_place){load->file, load->line};
    load->owned->n_rules++;
    return true;
}

static bool is_xml_prefix(const char *prefix) {
    if (!isalpha((unsigned char) prefix[0]) && prefix[0] != '_') {
        return false;
    }
    for (const char *c = prefix; *c != '\0'; c++) {
        if (!isalnum((unsigned char) *c) && strchr("_-.", *c) == NULL) {
            return false;
        }
    }
    return strlen(prefix) < MA_RULE_PREFIX_MAX;
}

bool ma_config_add_namespace(struct ma_config_load *load, const char *prefix, const char *uri) {
    struct ma_config_owned *owned = load->owned;
    size_t i = 0;
    if (!is_xml_prefix(prefix) || uri[0] == '\0' || strlen(uri) >= MA_RULE_URI_MAX) {
        ma_config_report(load, "%.64s=%.64s: write prefix=uri, the prefix a short XML name", prefix,
                         uri);
        return false;
    }
    while (i < owned->n_namespaces && strcmp(owned->namespaces[i].prefix, prefix) != 0) {
        i++;
    }
    if (i < owned->n_namespaces && i >= load->first_namespace_of_file) {
        ma_config_report(load, "%s= stands in this file already; keep one of them", prefix);
        return false;
    }
    if (i == MA_CONFIG_NAMESPACES_MAX) {
        ma_config_report(load, "too many namespaces; at most %u", MA_CONFIG_NAMESPACES_MAX);
        return false;
    }
    if (i == owned->n_namespaces) {
        owned->n_namespaces++;
    }
    (void) memcpy(owned->namespaces[i].prefix, prefix, strlen(prefix) + 1);
    (void) memcpy(owned->namespaces[i].uri, uri, strlen(uri) + 1);
    return true;
}
