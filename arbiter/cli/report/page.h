/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* page.h - a report as one page: tables that need nothing but a browser, charts that its script draws from them. */

#include <stdio.h>

#include "report-data.h"

/* Reads the record once more; errors of the file are the caller's to look for (ferror). */
int report_page(FILE *file, struct report_data *data, struct ma_err *err);
