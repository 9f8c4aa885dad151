/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metadata.c - any bytes as a guest's metadata, after a good one that protects it: it must stay protected or be
 * told otherwise by values that make sense. */
#include <stdlib.h>

#include "bytes.h"
#include "metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

static void check_values(const struct ma_guest_config *c) {
    demand((c->has & MA_CONFIG_HAS_IMPACT) == 0 || c->impact_class != MA_IMPACT_WEIGHT ||
           (c->impact >= 1 && c->impact <= MA_IMPACT_MAX));
    demand((c->has & MA_CONFIG_HAS_SHARES) == 0 || (c->shares >= 1 && c->shares <= MA_SHARES_MAX));
    demand(c->guarantee_bytes <= MA_BYTES_MAX && c->limit_bytes <= MA_BYTES_MAX);
    demand((c->actions >> MA_ACTION_OPTION_COUNT) == 0);
    demand(c->group == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ma_metadata m;
    struct ma_said last = {
        .config = {.has = MA_CONFIG_HAS_IMPACT, .impact_class = MA_IMPACT_NEVER}};
    struct ma_said said = {0};
    struct ma_said good;
    ma_metadata_parse((const char *) data, size, &m);
    check_values(&m.said.config);
    demand((m.bad & m.said.config.has) == 0);
    demand(m.bad == 0 || m.problem[0] != '\0');
    ma_metadata_merge(&m, &last, &said, &good);
    check_values(&said.config);
    /* Only an impact that was said, and is good, takes the protection away; or none was said at all. */
    demand((m.bad & MA_CONFIG_HAS_IMPACT) == 0 || said.config.impact_class == MA_IMPACT_NEVER);
    return 0;
}
