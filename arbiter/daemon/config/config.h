/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* config.h - memarb.conf, read whole or not at all. A configuration is immutable once loaded; the caller owns it and
 * may hand it to other threads for reading. Strings and arrays in it live as long as it does.
 *
 * Reload: load a new one, switch to it, destroy the old; when loading fails, *ret is untouched and the old one stays. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admit.h"
#include "config-sections.h"
#include "err.h"
#include "guest-rules.h"
#include "settings.h"

#define MA_CONFIG_FILE_DEFAULT "/etc/memarb/memarb.conf"
/* Problems that one check reports before it gives up: more help nobody. */
#define MA_CONFIG_PROBLEMS_MAX 64

struct ma_config {
    struct ma_config_arbiter arbiter;
    struct ma_config_host host;
    struct ma_config_admission admission;
    struct ma_config_record record;
    struct ma_config_control control;
    struct ma_config_metrics metrics;
    struct ma_config_hooks hooks;
    struct ma_guest_rules rules; /* [Guest ...] in the order of the files, and [Namespaces] */
    uint64_t said[2];            /* bit per key of the table, for ma_settings.has */
    const char *file;            /* main file it came from; "": defaults alone */
    unsigned n_files;            /* read, drop-ins included */
    void *owned;                 /* private */
};

/* One line a problem: "FILE:LINE: what is wrong; what to write instead". */
typedef void (*ma_config_problem_fn)(void *userdata, const char *problem);

/* Reads `path` and every `path`.d/NAME.conf (sorted by name; later wins per key). path NULL: MA_CONFIG_FILE_DEFAULT, which may
 * be absent (then defaults and drop-ins alone); a path that was named must exist. Blocks on disk: not on the loop of a
 * host under pressure. 0 and *ret_config (ma_config_destroy), or negative errno with the first problem in err. */
int ma_config_load(const char *path, struct ma_config **ret_config, struct ma_err *err);
/* What giving back needs, also from a configuration so bad that memarbd does not start with it: that is when it is
 * needed most. Lines that are good count, the others keep their defaults and go to `problem`; nothing is left of guests'
 * rules, watermarks, budget and record, which a release has no use for. Fails only without memory. */
int ma_config_load_for_release(const char *path,
                               ma_config_problem_fn problem,
                               void *userdata,
                               struct ma_config **ret_config,
                               struct ma_err *err);
/* The same as ma_config_load(), and every problem goes to `problem` (may be NULL) in the order of files and lines; err says how many. */
int ma_config_check(const char *path,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err);
/* From text instead of files (tests, fuzzing); name stands in messages. */
int ma_config_parse(const char *name,
                    const char *text,
                    size_t len,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err);
void ma_config_destroy(struct ma_config *config); /* NULL is fine */

/* The settings of decisions for a host of that size: percentages resolved, contradictions between what is said found
 * (also those that only show when the size is known). *ret is resolved (ma_settings_resolve). */
int ma_config_settings(const struct ma_config *config,
                       uint64_t host_total_bytes,
                       struct ma_settings *ret,
                       struct ma_err *err);
