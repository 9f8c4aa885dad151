/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* control-turn.h - one call being answered; between control-methods.c and what it dispatches to. Control thread. */

#include "control-reply.h"

struct turn {
    struct ma_control *control;
    struct ma_control_client *client;
    const struct ma_varlink_call *call;
};

/* false: the client is to be closed. */
bool ma_control_fail(const struct turn *turn,
                     const char *error,
                     const char *key,
                     const char *value,
                     const char *message);
bool ma_control_invalid(const struct turn *turn, const char *parameter, const char *message);
bool ma_control_run_command(const struct turn *turn,
                            const struct ma_command *command,
                            const char *guest);

/* control-admit.c */
bool ma_control_admit(const struct turn *turn);
bool ma_control_forget(const struct turn *turn);
bool ma_control_readmit(const struct turn *turn);
