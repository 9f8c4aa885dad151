/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* escape.h - foreign text (guests' names, a host's, whatever stands in a record that somebody sends) into a page.
 *
 * Both functions write what a reader may see: control characters, what turns the direction of writing, line separators
 * and bytes that are no UTF-8 become U+FFFD. So a name can neither end an element, a script or a line, nor make its
 * neighbours read backwards. */

#include <stdio.h>

/* As text or as a quoted attribute's value. */
void report_html(FILE *file, const char *text);
/* As a JSON string with its quotes, safe inside <script> too: no '<', '>' or '&' is written as such. */
void report_json(FILE *file, const char *text);
