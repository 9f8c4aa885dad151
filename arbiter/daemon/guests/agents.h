/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* agents.h - the guests' own agents: what the loop hears of them and tells them. Loop thread only. */

#include "daemon.h"
#include "view.h"

/* Opens what is configured. qemu_uid: the user that QEMUs run as. */
int ma_agents_setup(struct ma_daemon *d, uid_t qemu_uid, struct ma_err *err);
void ma_agents_teardown(struct ma_daemon *d);
void ma_agents_after_event(struct ma_daemon *d); /* sets the timer of what is due next */
/* A source told of this guest (again): its channel may be another. */
void ma_agents_note_guest(struct ma_daemon *d, const struct ma_tracked *guest);
void ma_agents_forget(struct ma_daemon *d, const char *uuid);
/* Vetoes that agents ask for, into the controller's memory. */
void ma_agents_before_decision(struct ma_daemon *d, uint64_t now_usec);
/* Announces squeezes, asks for the right rate, tells what is new. */
void ma_agents_after_decision(struct ma_daemon *d, uint64_t now_usec);
enum ma_agent_state
ma_agents_state(const struct ma_daemon *d, const struct ma_tracked *guest, uint64_t now_usec);
