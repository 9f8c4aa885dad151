/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit-limits.c - one call on the system bus, over a connection of its own: there are a few in a guest's life, and a bus
 * that was restarted meanwhile is no case then. */
#include "unit-limits.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <systemd/sd-bus.h>

static const char *property_of(enum ma_limit limit) {
    switch (limit) {
    case MA_LIMIT_MEMORY_MAX:
        return "MemoryMax";
    case MA_LIMIT_MEMORY_HIGH:
        return "MemoryHigh";
    case MA_LIMIT_SWAP_MAX:
        return "MemorySwapMax";
    case MA_LIMIT_PIDS_MAX:
        return "TasksMax";
    case MA_LIMIT_CPU_MAX:
        return "CPUQuotaPerSecUSec";
    case MA_LIMIT_OOM_GROUP:
    case MA_LIMIT_MEMLOCK:
    case MA_LIMIT_OOM_ADJ:
    case MA_LIMIT_COUNT:
        break;
    }
    return NULL;
}

static int
call(sd_bus *bus, const char *unit, const char *property, uint64_t value, sd_bus_error *error) {
    (void) sd_bus_set_method_call_timeout(bus, MA_UNIT_CALL_USEC); /* fails on a closed bus only */
    return sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                              "org.freedesktop.systemd1.Manager", "SetUnitProperties", error, NULL,
                              "sba(sv)", unit, 1, 1, property, "t", value);
}

int ma_unit_set_limit_worker(const char *unit,
                             enum ma_limit limit,
                             uint64_t value,
                             struct ma_err *err) {
    const char *property = property_of(limit);
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus *bus = NULL;
    if (property == NULL) {
        return ma_err_set(err, -EOPNOTSUPP, "%s is no property of a unit", ma_limit_name(limit));
    }
    int r = sd_bus_open_system(&bus);
    if (r < 0) {
        return ma_err_set(err, r, "cannot reach the system bus: %s", strerror(-r));
    }
    r = call(bus, unit, property, value, &error);
    if (r < 0) {
        (void) ma_err_set(err, r, "systemd refused %s of %s: %s", property, unit,
                          error.message != NULL ? error.message : strerror(-r));
    }
    sd_bus_error_free(&error);
    (void) sd_bus_flush_close_unref(bus);
    return r < 0 ? r : 0;
}
