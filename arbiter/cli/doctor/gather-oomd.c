/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather-oomd.c - may systemd-oomd kill in the slice where libvirt puts its guests? Said by the slice itself, or for swap by
 * any slice above it. */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "gather.h"

#define MACHINE_SLICE "/org/freedesktop/systemd1/unit/machine_2eslice"
#define ROOT_SLICE    "/org/freedesktop/systemd1/unit/_2d_2eslice"
/* An answer takes milliseconds; a systemd that hangs must not hang us. */
#define BUS_TIMEOUT_USEC UINT64_C(2000000)

static enum ma_known is_kill(sd_bus *bus, const char *path, const char *property) {
    char *value = NULL;
    int r = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path,
                                       "org.freedesktop.systemd1.Slice", property, NULL, &value);
    enum ma_known known = r < 0 ? MA_UNKNOWN : strcmp(value, "kill") == 0 ? MA_YES : MA_NO;
    free(value);
    return known;
}

void ma_gather_oomd(struct ma_doctor_facts *facts) {
    sd_bus *bus = NULL;
    if ((facts->arbiters & MA_ARBITER_OOMD) == 0) {
        facts->is_oomd_on_guests = MA_NO;
        return;
    }
    if (sd_bus_open_system(&bus) < 0) {
        return;
    }
    (void) sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_USEC); /* else the default, 25 s */
    const enum ma_known said[] = {is_kill(bus, MACHINE_SLICE, "ManagedOOMSwap"),
                                  is_kill(bus, MACHINE_SLICE, "ManagedOOMMemoryPressure"),
                                  is_kill(bus, ROOT_SLICE, "ManagedOOMSwap")};
    facts->is_oomd_on_guests = MA_NO;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        bool is_worse =
            said[i] == MA_YES || (said[i] == MA_UNKNOWN && facts->is_oomd_on_guests != MA_YES);
        facts->is_oomd_on_guests = is_worse ? said[i] : facts->is_oomd_on_guests;
    }
    (void) sd_bus_flush_close_unref(bus);
}
