/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* print-json.h - a report for programs, on standard output: one JSON object on one line. Its members only ever get more. */

#include "report-data.h"

/* An exit status of memarbctl. */
int report_print_json(struct report_data *data);
