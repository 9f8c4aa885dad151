/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-rules.h - the host's own rules for guests ([Guest MATCH] sections), for clouds that rebuild domain metadata.
 * Merged per attribute: defaults, then each matching rule in file order, then the guest's own metadata. */

#include <stddef.h>

#include "snapshot.h"

enum ma_rule_match {
    MA_RULE_UUID,  /* exact, case-insensitive */
    MA_RULE_NAME,  /* glob (fnmatch) */
    MA_RULE_TITLE, /* glob over the domain's <title> */
    MA_RULE_XPATH, /* boolean XPath over the domain XML; true, a non-empty node set or string matches */
};

#define MA_RULE_PATTERN_MAX 512
#define MA_RULE_GROUP_MAX   64
#define MA_RULE_PREFIX_MAX  32
#define MA_RULE_URI_MAX     192

struct ma_guest_rule {
    enum ma_rule_match match;
    char pattern[MA_RULE_PATTERN_MAX];
    /* only what the rule sets is in config.has; config.group is NULL */
    struct ma_guest_config config;
    char group[MA_RULE_GROUP_MAX]; /* with MA_CONFIG_HAS_GROUP */
    unsigned line;                 /* in the configuration, for messages */
};
/* Prefixes that rules' XPaths may use, besides the built-in ones (nova, ovirt-tune, ovirt-vm, memarb). */
struct ma_rule_namespace {
    char prefix[MA_RULE_PREFIX_MAX];
    char uri[MA_RULE_URI_MAX];
};
struct ma_guest_rules {
    const struct ma_guest_rule *rules;
    size_t n_rules;
    const struct ma_rule_namespace *namespaces;
    size_t n_namespaces;
};
