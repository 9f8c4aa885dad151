/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* decision.h - one decision as a part of the page: its actions with what came of them, every candidate with the terms of
 * its impact and its options. */

#include <stdio.h>

#include "report-data.h"

/* id: of the element, the chart points to it. */
void report_decision(FILE *file,
                     struct report_data *data,
                     const struct report_cycle *cycle,
                     const char *id);
