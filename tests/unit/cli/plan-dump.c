/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans of random hosts by the function behind `memarbctl plan`, one a line: of single snapshots, and of a stream in
 * which each host lives for some seconds. plan-check.py holds them against the contract's schema. */
#include "formats.h"
#include "json-write.h"
#include "offline-plan.h"
#include "random-host.h"

#define TEXT_MAX (1U << 20)
#define HOSTS    400U
#define SECONDS  4U

static char text[TEXT_MAX];

static size_t write_snapshot(const struct test_host *h) {
    struct ma_json json;

    ma_json_init(&json, text, sizeof(text));
    ma_json_snapshot(&json, NULL, &h->snapshot);
    CHECK(!json.is_truncated);
    return json.len;
}

/* What a config without the bits means, and what a check of the text would refuse. */
static void mend(struct test_host *h) {
    h->snapshot.settings.has = MA_SETTINGS_HAS_ARM;
    for (size_t i = 0; i < h->snapshot.n_guests; i++) {
        struct ma_guest *guest = &h->guests[i];

        guest->has |= MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL |
                      MA_GUEST_HAS_PINNED | MA_GUEST_HAS_SHARED | MA_GUEST_HAS_HELD;
        guest->config.has |= MA_CONFIG_HAS_VALID;
    }
}

static void plan_one(struct ma_offline *offline, const struct test_host *h) {
    struct ma_err err = {0};
    const char *json;

    if (ma_cmd_plan_text(offline, text, write_snapshot(h), &json, &err) < 0) {
        TAP_FAIL("%s\n%s", err.message, text);
    }
    (void) puts(json);
}

int main(void) {
    static struct test_host h;
    static struct ma_offline single;
    static struct ma_offline stream;

    seed = 20261122;
    ma_offline_init(&single);
    for (unsigned k = 0; k < HOSTS; k++) {
        random_host(&h);
        mend(&h);
        plan_one(&single, &h);
        ma_offline_init(&stream);
        stream.is_stream = true;
        for (unsigned second = 0; second < SECONDS; second++) {
            h.snapshot.taken_at_usec += TEST_SECOND;
            plan_one(&stream, &h);
        }
        ma_offline_fini(&stream);
        test_host_fini(&h);
    }
    ma_offline_fini(&single);
    return 0;
}
