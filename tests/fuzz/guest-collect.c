/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-collect.c - any text as /proc files and as the agent's settings. What comes out keeps the wire's bounds. */
#include <stdlib.h>

#include "collect.h"
#include "settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data;
    struct mag_report r = {.has = 0};
    struct mag_settings settings;
    struct ma_err err;
    mag_collect_meminfo(text, size, &r);
    mag_collect_vmstat(text, size, 65536, &r);
    mag_collect_pressure(text, size, &r);
    must(r.mem_total_bytes <= MA_BYTES_MAX && r.swap_free_bytes <= MA_BYTES_MAX);
    must(r.swap_in_bytes <= MAG_COUNT_MAX && r.refaults_count <= MAG_COUNT_MAX);
    must(r.some_avg10_permyriad <= MA_PERMYRIAD_FULL && r.full_total_usec <= MAG_COUNT_MAX);
    mag_settings_init(&settings);
    (void) mag_settings_parse(&settings, "fuzz", text, size, &err);
    must(settings.alarm_stall_usec > 0 && settings.veto_stall_usec <= MA_USEC_PER_SEC);
    return 0;
}
