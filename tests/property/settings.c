/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever is said: refused as contradictory, or completed to watermarks in order with nothing said changed. */
#include "settings.h"
#include "bytes.h"
#include "tap.h"

static uint64_t amount(uint64_t *seed, uint64_t total) {
    switch (tap_below(seed, 5)) {
    case 0:
        return 0;
    case 1:
        return total;
    case 2:
        return tap_below(seed, total + 1) / 20;
    case 3:
        return total + tap_below(seed, 3);
    default:
        return tap_below(seed, total + 1);
    }
}

static bool contradicts(const struct ma_settings *s, uint64_t total) {
    uint64_t soft = (s->has & MA_SETTINGS_HAS_SOFT) != 0 ? s->soft_watermark_bytes : UINT64_MAX;
    uint64_t reserve = (s->has & MA_SETTINGS_HAS_RESERVE) != 0 ? s->reserve_bytes : UINT64_MAX;
    uint64_t hard = (s->has & MA_SETTINGS_HAS_HARD) != 0 ? s->hard_watermark_bytes : UINT64_MAX;
    uint64_t critical = (s->has & MA_SETTINGS_HAS_CRITICAL) != 0 ? s->critical_watermark_bytes : 0;
    bool hard_said = hard != UINT64_MAX;
    return (soft != UINT64_MAX && soft > total) || (reserve != UINT64_MAX && reserve > total) ||
           (hard_said && hard > total) || critical > total || critical > hard || critical > soft ||
           critical > reserve || (hard_said && hard > soft);
}

static void said_stays_and_order_holds(void) {
    uint64_t seed = 99;
    unsigned refused = 0;
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned r = 0; r < 100000; r++) {
        uint64_t total = tap_below(&seed, 20) == 0
                             ? tap_below(&seed, 3)
                             : tap_random(&seed) >> (14 + tap_below(&seed, 40));
        struct ma_settings s;
        const char *problem = NULL;
        ma_settings_init(&s);
        s.has = (uint32_t) tap_below(&seed, 16);
        s.reserve_bytes = amount(&seed, total);
        s.soft_watermark_bytes = amount(&seed, total);
        s.hard_watermark_bytes = amount(&seed, total);
        s.critical_watermark_bytes = amount(&seed, total);
        struct ma_settings said = s;
        int code = ma_settings_resolve(&s, total, &problem);
        CHECK((code == 0) == !contradicts(&said, total));
        if (code < 0) {
            CHECK(problem != NULL && memcmp(&s, &said, sizeof(s)) == 0);
            refused++;
            continue;
        }
        CHECK(s.critical_watermark_bytes <= s.hard_watermark_bytes);
        CHECK(s.hard_watermark_bytes <= s.soft_watermark_bytes);
        CHECK(s.soft_watermark_bytes <= total && s.reserve_bytes <= total);
        CHECK(s.critical_watermark_bytes <= s.reserve_bytes);
        CHECK(!(said.has & MA_SETTINGS_HAS_RESERVE) || s.reserve_bytes == said.reserve_bytes);
        CHECK(!(said.has & MA_SETTINGS_HAS_SOFT) ||
              s.soft_watermark_bytes == said.soft_watermark_bytes);
        CHECK(!(said.has & MA_SETTINGS_HAS_HARD) ||
              s.hard_watermark_bytes == said.hard_watermark_bytes);
        CHECK(!(said.has & MA_SETTINGS_HAS_CRITICAL) ||
              s.critical_watermark_bytes == said.critical_watermark_bytes);
        struct ma_settings again = s;
        CHECK(ma_settings_resolve(&again, total, &problem) == 0);
        CHECK(memcmp(&again, &s, sizeof(s)) == 0);
    }
    (void) printf("# %u refused\n", refused);
}

static void defaults_are_the_documented_ones(void) {
    struct ma_settings s;
    const char *problem = NULL;
    ma_settings_init(&s);
    CHECK(ma_settings_resolve(&s, 64000, &problem) == 0);
    CHECK_U64(s.reserve_bytes, 3200);
    CHECK_U64(s.soft_watermark_bytes, 6400);
    CHECK_U64(s.hard_watermark_bytes, 4000);
    CHECK_U64(s.critical_watermark_bytes, 1920);
    s.has = MA_SETTINGS_HAS_SOFT;
    s.soft_watermark_bytes = 3000; /* pulls the derived ones down */
    CHECK(ma_settings_resolve(&s, 64000, &problem) == 0);
    CHECK_U64(s.reserve_bytes, 1500);
    CHECK_U64(s.hard_watermark_bytes, 1875);
    CHECK_U64(s.critical_watermark_bytes, 900);
}

TAP_MAIN(TAP_CASE(said_stays_and_order_holds), TAP_CASE(defaults_are_the_documented_ones));
