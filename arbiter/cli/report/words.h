/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* words.h - figures as a reader likes them, and what an action of a plan is in a few words. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "report-data.h"

#define REPORT_WHEN_MAX 40
/* Local time of this machine, to the second. Returns text. */
const char *report_when(char text[static REPORT_WHEN_MAX], uint64_t realtime_usec);
/* "kill", "balloon 4 GiB -> 3 GiB" into text; without the guest. */
const char *report_action_words(char *text, size_t size, const json_t *action);
/* "ram 78 MiB, swap -4 MiB" of an object of amounts. */
const char *report_amounts(char *text, size_t size, const json_t *amounts);
/* Its reason code's sentence, or the code itself. */
const char *report_reason(const json_t *object, const char *member);
/* victim, pause, shrink, grow, planned: the heaviest of the plan's. */
const char *report_kind_of(const struct report_cycle *cycle);
/* "web: kill; mail: balloon 2 GiB to 1 GiB" into text. */
const char *report_summary(char *text, size_t size, const struct report_cycle *cycle);
