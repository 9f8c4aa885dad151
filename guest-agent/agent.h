/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* agent.h - the agent's loop. */

#include "err.h"
#include "settings.h"

/* Runs until SIGTERM or SIGINT: 0. -errno and a message: it cannot even begin. proc: "/proc". */
int mag_agent_run(const struct mag_settings *settings, const char *proc, struct ma_err *err);
/* What it would say now, as a line on stdout; for people. */
int mag_agent_print(const struct mag_settings *settings, const char *proc, struct ma_err *err);
