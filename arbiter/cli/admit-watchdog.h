/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admit-watchdog.h - a hook's last word when nothing else was said in time. One thread; once a process. */

#include <stdint.h>

/* After that time the process ends with exit status 0, whatever it is doing, and says so on stderr and in the system's log. */
void ma_admit_watch(uint64_t usec);
