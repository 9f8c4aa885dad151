/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* text-diff.h - what changed between two texts, line by line, as people know it from diff -u. */

#include <stdio.h>

/* Lines with "-" and "+", three unchanged ones around each place, "..." between places. 0; -ENOMEM; -EIO. Texts that are
 * equal print nothing. */
int ma_text_diff(FILE *file, const char *before, const char *after)
    __attribute__((warn_unused_result));
