/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* metadata.h - what an operator says of a guest: metadata text and host rules in, settings out. No libvirt here;
 * guests without libvirt use it for rules by uuid and name. Any thread, no shared state. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-rules.h"
#include "guest-source.h"

/* What we read of one guest's element. An honest one has 1 KiB; libvirt lets 4 MiB pass, and parsing that for each
 * of 1,000 guests would be somebody's way to starve us. Chosen, not measured. */
#define MA_METADATA_MAX_BYTES ((size_t) 64 * 1024)

/* Settings said in one place. */
struct ma_said {
    struct ma_guest_config config; /* config.group is NULL; only what was said is in config.has */
    char group[MA_SOURCE_GROUP_MAX];
};

struct ma_metadata {
    struct ma_said said;
    /* MA_CONFIG_HAS_* of values that were said and make no sense; UINT32_MAX: unreadable as a whole */
    uint32_t bad;
    char problem[MA_SOURCE_PROBLEM_MAX]; /* the first thing wrong or unknown, "" */
};

/* Parses the element urn:memarb:guest:1 as libvirt stores it, prefixed or not. Always fills *ret. */
void ma_metadata_parse(const char *xml, size_t size, struct ma_metadata *ret);

/* What identifies a guest to rules. NULL: not known; `domain_xml_doc` is an xmlDocPtr (const void * so that users
 * without libxml2 can include this), NULL: XPath rules do not match. */
struct ma_rule_subject {
    const char *uuid;
    const char *name;
    const char *title;
    const void *domain_xml_doc;
};

/* Merges each matching rule in order over *said. A rule that cannot be evaluated sets said->config.is_invalid (no
 * victim: what it would have protected is not known) and fills problem[MA_SOURCE_PROBLEM_MAX], if it is empty. */
void ma_rules_merge(const struct ma_guest_rules *rules,
                    const struct ma_rule_subject *subject,
                    struct ma_said *said,
                    char *problem);

/* Values of `over` that are set replace those of `said`. */
void ma_said_merge(struct ma_said *said, const struct ma_said *over);

/* Metadata over rules, never less protected by a mistake: what is bad in `now` keeps its value of last_good (NULL:
 * none known), and where there is none the guest is marked invalid. *last_good_ret is what to keep for next time. */
void ma_metadata_merge(const struct ma_metadata *now,
                       const struct ma_said *last_good,
                       struct ma_said *said,
                       struct ma_said *last_good_ret);

/* Deep copy in one block, or NULL; freed with free(). */
struct ma_guest_rules *ma_rules_copy(const struct ma_guest_rules *rules)
    __attribute__((warn_unused_result));
/* An XPath that does not compile or names an unknown prefix: -EINVAL with `problem` filled. For check-config. */
int ma_rules_check(const struct ma_guest_rules *rules, char *problem)
    __attribute__((warn_unused_result));
