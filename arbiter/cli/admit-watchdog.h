/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admit-watchdog.h - a hook's last word when nothing else was said in time. One thread; once a process. */

#include <stdbool.h>
#include <stdint.h>

/* After that time the process ends, whatever it is doing, and says so on stderr and in the system's log: with exit status 0,
 * the guest is let in ... */
void ma_admit_watch(uint64_t usec);
/* ... or, from here on, with MA_EXIT_REFUSED if it should refuse. */
void ma_admit_watch_refuses(bool should_refuse);
