/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* config-keys.h - the one table of keys: section, name, kind of value, default as it would be written, bounds and
 * documentation. The parser, `memarbctl check-config --defaults`, memarb.conf and memarb.conf.5 all follow it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ma_key_type {
    MA_KEY_AMOUNT,  /* bytes or percent of the host; default "": derived */
    MA_KEY_BYTES,   /* with unit */
    MA_KEY_USEC,    /* with unit */
    MA_KEY_PERCENT, /* uint32_t permyriad */
    MA_KEY_U32,
    MA_KEY_U32_AUTO, /* or "auto", kept as 0 */
    MA_KEY_U64,
    MA_KEY_PERCENT_U64,
    MA_KEY_BOOL,
    MA_KEY_ENUM, /* stored as int-sized enum; the index in `choices` */
    MA_KEY_TEXT,
    MA_KEY_PATH,  /* absolute, or "" */
    MA_KEY_GLOBS, /* absolute, several between blanks */
    MA_KEY_IMPACT,
    MA_KEY_ACTIONS,
    MA_KEY_GROUP,
};

struct ma_config_key {
    const char *section;
    const char *name;
    const char *standard; /* the default; NULL for keys of [Guest ...]: left to lower layers */
    const char *doc;      /* one sentence */
    enum ma_key_type type;
    size_t offset; /* in struct ma_config, or in struct ma_guest_config */
    uint64_t min;  /* in the value's own unit; 0/0: no bounds */
    uint64_t max;
    const char *choices; /* blank-separated; index = value */
    uint32_t has;        /* MA_SETTINGS_HAS_* or MA_CONFIG_HAS_* */
};

#define MA_CONFIG_GUEST_SECTION      "Guest"
#define MA_CONFIG_NAMESPACES_SECTION "Namespaces"

/* Keys of the plain sections in the order of the documentation, then NULL. */
const struct ma_config_key *ma_config_key_at(size_t index);
/* Keys of [Guest MATCH], then NULL. */
const struct ma_config_key *ma_config_guest_key_at(size_t index);
/* Index of the key, or -1. */
int ma_config_key_find(const char *section, const char *name);
int ma_config_guest_key_find(const char *name);
bool ma_config_has_section(const char *section);
/* The known name nearest to `name` (section NULL: among the guest keys), NULL when none is near. */
const char *ma_config_nearest_key(const char *section, const char *name);
const char *ma_config_nearest_section(const char *section);
/* A section where a key of that name does exist, or NULL. */
const char *ma_config_section_of(const char *name);
