/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* judge.h - how the judge-*.c write a finding down. */

#include <stdio.h>

#include "doctor.h"

/* FIND(findings, "psi", WARNING, "remedy", "what is seen %d", ...): nothing happens when the list is full. */
#define FIND(findings, name, level, cure, ...)                                                     \
    do {                                                                                           \
        struct ma_finding *finding_ = ma_finding_add(findings, name, MA_SEVERITY_##level);         \
        if (finding_ != NULL) {                                                                    \
            (void) snprintf(finding_->text, sizeof(finding_->text), __VA_ARGS__);                  \
            finding_->remedy = (cure);                                                             \
        }                                                                                          \
    } while (0)
