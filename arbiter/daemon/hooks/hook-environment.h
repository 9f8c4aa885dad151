/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hook-environment.h - what a hook is told: variables, and nothing else of ours. */

#include "hooks.h"

#define MA_HOOK_VARIABLES    14
#define MA_HOOK_VARIABLE_MAX (MA_SOURCE_NAME_MAX + 32)

struct ma_hook_environment {
    char text[MA_HOOK_VARIABLES][MA_HOOK_VARIABLE_MAX];
    char *envp[MA_HOOK_VARIABLES + 1]; /* NULL-terminated, into `text` */
    unsigned n;
};
/* Control characters in what a guest calls itself become '?'. */
void ma_hook_environment_make(const struct ma_hook_order *order, struct ma_hook_environment *ret);
