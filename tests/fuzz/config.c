/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.c - any bytes as memarb.conf: taken whole or refused with words, and what is taken makes settings or an
 * error. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_problem(void *userdata, const char *problem) {
    if (problem[0] == '\0') {
        abort();
    }
    ++*(unsigned *) userdata;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ma_config *config = NULL;
    struct ma_settings settings;
    struct ma_err err = {0};
    unsigned problems = 0;
    int r = ma_config_parse("fuzz.conf", (const char *) data, size, on_problem, &problems, &config,
                            &err);
    if ((r == 0) != (problems == 0) || (r == 0) != (config != NULL) ||
        (r != 0 && err.message[0] == '\0')) {
        abort();
    }
    if (config != NULL && ma_config_settings(config, 64 * MA_GIB, &settings, &err) == 0 &&
        (settings.critical_watermark_bytes > settings.hard_watermark_bytes ||
         settings.hard_watermark_bytes > settings.soft_watermark_bytes)) {
        abort();
    }
    ma_config_destroy(config);
    return 0;
}
