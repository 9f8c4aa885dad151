/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admission-text.h - verdicts as sentences: what is missing, where, and what would help. */

#include <stddef.h>

#include "admit.h"

/* One finding; returns buf. */
char *ma_admission_finding_text(char *buf, size_t size, const struct ma_admit_finding *finding);
/* All findings that refuse (or, where none does, all), joined by "; ". */
char *ma_admission_text(char *buf, size_t size, const struct ma_admit_verdict *verdict);
/* "node 1", "nodes 0-2,5". */
char *ma_admission_nodes_text(char *buf, size_t size, uint64_t node_mask);
