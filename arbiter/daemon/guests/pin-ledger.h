/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* pin-ledger.h - the ledger of what guests pin: judged after each cycle, told when it changes. Loop thread only. */

#include "daemon.h"

/* Judges every guest that was sampled, adds them up, and tells what is new. After the wire: it may allocate. */
void ma_pin_ledger_watch(struct ma_daemon *d);
/* PinBudget= where it is said: what starts are admitted against; 0: it is not. */
uint64_t ma_pin_ledger_said_budget(const struct ma_daemon *d, uint64_t total_bytes);
/* "1.5 GiB", "unlimited". Returns buf. */
char *ma_pin_ledger_format(char buf[MA_FORMAT_MAX], uint64_t bytes);
