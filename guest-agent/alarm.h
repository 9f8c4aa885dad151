/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* alarm.h - is this guest short of memory, and does it ask to be spared? Pure. Times are the guest's CLOCK_BOOTTIME. */

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

enum mag_alarm_kind { MAG_ALARM_SOME, MAG_ALARM_FULL, MAG_ALARM_COUNT };

/* Stalls are counted within this time. Shorter: alarms for a single slow page; longer: the host hears too late. The
 * kernel allows 500 ms to 10 s. */
#define MAG_ALARM_WINDOW_USEC UINT64_C(1000000)

struct mag_alarm {
    /* within the window: some stall is an alarm, full stall a veto */
    uint64_t stall_usec[MAG_ALARM_COUNT];
    bool has_trigger[MAG_ALARM_COUNT]; /* the kernel tells; else it is taken from the figures */
    uint64_t page_bytes;
    uint64_t until_usec[MAG_ALARM_COUNT]; /* stands until then; 0: not at all */
};

/* The kernel's trigger with that window fired: it stands for two windows, within which the next event would come. */
void mag_alarm_on_trigger(struct mag_alarm *a,
                          enum mag_alarm_kind kind,
                          uint64_t window_usec,
                          uint64_t now_usec);
/* Two samples, elapsed_usec > 0 apart. An OOM kill is an alarm and a veto in any case. */
void mag_alarm_on_sample(struct mag_alarm *a,
                         const struct mag_report *before,
                         const struct mag_report *after,
                         uint64_t elapsed_usec,
                         uint64_t now_usec);
static inline bool
mag_alarm_stands(const struct mag_alarm *a, enum mag_alarm_kind kind, uint64_t now_usec) {
    return now_usec < a->until_usec[kind];
}
