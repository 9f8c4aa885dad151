/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scenario.c - any bytes as a scenario file: taken whole or refused with words; what is taken is within the bounds that the
 * simulator relies on, and a small one is run for a few simulated seconds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "sim.h"

/* More guests, or a longer run, would show nothing new and take seconds. */
#define GUESTS_RUN_MAX 16U
#define RUN_USEC       (UINT64_C(3) * MA_USEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_class(const struct sim_scenario *scenario, const struct sim_class *class) {
    if (class->name[0] == '\0' || strnlen(class->name, SIM_NAME_MAX) == SIM_NAME_MAX ||
        class->n_sizes < 1 || class->n_sizes > SIM_SIZES_MAX ||
        sim_demand_name(class->demand) == NULL || sim_driver_name(class->driver) == NULL ||
        class->base_permyriad > class->peak_permyriad ||
        class->peak_permyriad > MA_PERMYRIAD_FULL || class->count > SIM_GUESTS_MAX ||
        class->bursts > SIM_BURSTS_MAX || class->period_usec == 0 || class->rate_bytes_per_s == 0 ||
        (class->node != SIM_NODE_ANY && class->node >= scenario->n_nodes)) {
        abort();
    }
}

static void check_scenario(const struct sim_scenario *scenario) {
    const struct ma_settings *settings = &scenario->settings;

    if (scenario->host_bytes < MA_GIB || scenario->n_nodes < 1 ||
        scenario->n_nodes > SIM_NODES_MAX || scenario->n_classes < 1 ||
        scenario->n_classes > SIM_CLASSES_MAX || scenario->duration_usec == 0 ||
        settings->critical_watermark_bytes > settings->hard_watermark_bytes ||
        settings->hard_watermark_bytes > settings->soft_watermark_bytes ||
        settings->soft_watermark_bytes > scenario->host_bytes) {
        abort();
    }
    for (uint32_t k = 0; k < scenario->n_classes; k++) {
        check_class(scenario, &scenario->classes[k]);
    }
}

static bool is_small(const struct sim_scenario *scenario) {
    uint64_t n = 0;

    for (uint32_t k = 0; k < scenario->n_classes; k++) {
        n += scenario->classes[k].count;
    }
    return scenario->overcommit_permyriad == 0 && n <= GUESTS_RUN_MAX;
}

static void run(struct sim_scenario *scenario) {
    struct sim_result result;
    int r;

    scenario->duration_usec = ma_min_u64(scenario->duration_usec, RUN_USEC);
    r = sim_run(scenario, NULL, scenario->seed, NULL, &result);
    if (r != 0 && r != -EINVAL && r != -ENOMEM) {
        abort();
    }
    if (r == 0 &&
        (result.n_guests > GUESTS_RUN_MAX || result.least_available_bytes > scenario->host_bytes)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sim_scenario *scenario = malloc(sizeof(*scenario));
    char *text = malloc(size + 1);
    struct ma_err err = {0};
    int r;

    if (scenario == NULL || text == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    r = sim_scenario_read("fuzz", text, scenario, &err);
    if (r == 0) {
        check_scenario(scenario);
        if (is_small(scenario)) {
            run(scenario);
        }
    } else if ((r != -EINVAL && r != -ERANGE) || err.message[0] == '\0') {
        abort();
    }
    free(text);
    free(scenario);
    return 0;
}
