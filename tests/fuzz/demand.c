/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* demand.c - any bytes as the definition that a hook is given: bounded, or refused with a word why. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "domain-demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

static void check(const struct ma_demand *d) {
    uint64_t sum = 0;
    demand(d->uuid[0] != '\0' && memchr(d->uuid, '\0', sizeof(d->uuid)) != NULL);
    demand(d->name[0] != '\0' && memchr(d->name, '\0', sizeof(d->name)) != NULL);
    demand(d->n_parts > 0 && d->n_parts <= MA_DEMAND_PARTS_MAX);
    for (uint32_t i = 0; i < d->n_parts; i++) {
        demand(d->parts[i].bytes > 0 && d->parts[i].bytes <= MA_BYTES_MAX);
        demand(d->parts[i].page_bytes <= MA_BYTES_MAX);
        demand(d->parts[i].node_mask <= (uint64_t) INT64_MAX);
        sum += d->parts[i].page_bytes == 0 ? d->parts[i].bytes : 0;
    }
    demand(ma_demand_ordinary_bytes(d) == ma_min_u64(sum, MA_BYTES_MAX));
    demand(d->pinned_bytes <= sum && d->pin_account_bytes <= MA_BYTES_MAX);
    demand(d->guarantee_bytes <= MA_BYTES_MAX && d->current_bytes <= MA_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char problem[MA_SOURCE_PROBLEM_MAX];
    struct ma_demand d;
    char *text = malloc(size + 1);
    demand(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (lv_demand_read(text, size, NULL, &d, problem) == 0) {
        check(&d);
    } else {
        demand(problem[0] != '\0');
    }
    free(text);
    return 0;
}
