/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* settings-view.h - what holds for a guest, value by value, and where each comes from: the guest's own metadata, a
 * [Guest ...] section of the configuration, or the default. Computed as memarbd does it, without asking it. */

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "metadata.h"

#define MA_SETTING_COUNT     13
#define MA_SETTING_VALUE_MAX 128

struct ma_setting {
    const char *name; /* as memarbctl set and explain call it */
    char value[MA_SETTING_VALUE_MAX];
    const char *from;                 /* "metadata", "rule", "default" */
    const struct ma_guest_rule *rule; /* which one; borrowed from the configuration, else NULL */
};
struct ma_settings_view {
    struct ma_setting settings[MA_SETTING_COUNT];
    bool is_invalid; /* no victim until mended */
    char problem[MA_SOURCE_PROBLEM_MAX];
    uint64_t max_bytes; /* 0: the definition does not say */
};

/* "[Guest name:db-*], line 12". Returns buf. */
#define MA_SETTING_ORIGIN_MAX (MA_RULE_PATTERN_MAX + 64)
char *ma_setting_origin(const struct ma_guest_rule *rule, char buf[MA_SETTING_ORIGIN_MAX]);
/* config: borrowed. xml: the domain's definition. metadata: the element as libvirt hands it out, NULL: none. -EINVAL: the
 * definition cannot be read. */
int ma_settings_view_make(const struct ma_config *config,
                          const char *uuid,
                          const char *name,
                          const char *xml,
                          const char *metadata,
                          struct ma_settings_view *ret) __attribute__((warn_unused_result));
