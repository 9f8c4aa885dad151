/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* settings.h - what an operator can say: a small file of Key=value lines, and the same on the command line. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define MAG_PATH_MAX     256U
#define MAG_HOOK_DEFAULT "/etc/memarb/guest-squeeze"

struct mag_settings {
    char port[MAG_PATH_MAX]; /* empty: looked for by its name */
    char hook[MAG_PATH_MAX]; /* empty: none */
    uint64_t alarm_stall_usec, veto_stall_usec;
};

void mag_settings_init(struct mag_settings *s);
/* "Port", "Hook", "AlarmStall" or "VetoStall". -EINVAL or -ERANGE with a message. */
int mag_settings_set(struct mag_settings *s,
                     const char *key,
                     const char *value,
                     struct ma_err *err);
/* A whole file; blank lines and those that begin with '#' or ';' are passed over. The message names file and line; what
 * stood before the mistake is set. */
int mag_settings_parse(
    struct mag_settings *s, const char *name, const char *text, size_t length, struct ma_err *err);
