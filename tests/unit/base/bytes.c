/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bytes.h"

#include <errno.h>

#include "tap.h"

static void sizes_need_a_unit_and_nothing_else(void) {
    static const struct {
        const char *text;
        int result;
        uint64_t bytes;
    } table[] = {
        {"0B", 0, 0},
        {"4GiB", 0, 4 * MA_GIB},
        {"1.5GiB", 0, MA_GIB + MA_GIB / 2},
        {"512MiB", 0, 512 * MA_MIB},
        {"64KiB", 0, 64 * MA_KIB},
        {"1024TiB", 0, MA_BYTES_MAX},
        {"1025TiB", -ERANGE, 0},
        {"1024.001TiB", -ERANGE, 0},
        {"18446744073709551615B", -ERANGE, 0},
        {"99999999999999999999999TiB", -ERANGE, 0},
        {"4G", -EINVAL, 0},
        {"4", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-1B", -EINVAL, 0},
        {"+1B", -EINVAL, 0},
        {" 1B", -EINVAL, 0},
        {"1B ", -EINVAL, 0},
        {"1 B", -EINVAL, 0},
        {"1.GiB", -EINVAL, 0},
        {".5GiB", -EINVAL, 0},
        {"1.2345GiB", -EINVAL, 0},
        {"0x10B", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t v = 7;
        int r = ma_parse_bytes(table[i].text, &v);
        if (r != table[i].result || v != (r == 0 ? table[i].bytes : 7)) {
            TAP_FAIL("\"%s\": %d, %" PRIu64, table[i].text, r, v);
        }
    }
}

static void percents_and_times_likewise(void) {
    uint64_t v = 0;
    CHECK_I64(ma_parse_percent("10%", 10000, &v), 0);
    CHECK_U64(v, 1000);
    CHECK_I64(ma_parse_percent("2.5%", 10000, &v), 0);
    CHECK_U64(v, 250);
    CHECK_I64(ma_parse_percent("100.01%", 10000, &v), -ERANGE);
    CHECK_I64(ma_parse_percent("10", 10000, &v), -EINVAL);
    CHECK_I64(ma_parse_usec("60s", &v), 0);
    CHECK_U64(v, 60000000);
    CHECK_I64(ma_parse_usec("1.5min", &v), 0);
    CHECK_U64(v, 90000000);
    CHECK_I64(ma_parse_usec("250ms", &v), 0);
    CHECK_U64(v, 250000);
    CHECK_I64(ma_parse_usec("5", &v), -EINVAL);
    CHECK_I64(ma_parse_usec("99999d", &v), -ERANGE);
    CHECK_I64(ma_parse_u64("16384", 16384, &v), 0);
    CHECK_I64(ma_parse_u64("16385", 16384, &v), -ERANGE);
    CHECK_I64(ma_parse_u64("1a", 16384, &v), -EINVAL);
}

static void arithmetic_says_what_it_does_at_the_edge(void) {
    CHECK_U64(ma_sub_floor0(3, 5), 0);
    CHECK_U64(ma_add_sat(UINT64_MAX, 1), UINT64_MAX);
    CHECK_U64(ma_mul_sat(UINT64_MAX, 2), UINT64_MAX);
    CHECK_U64(ma_muldiv_sat(MA_BYTES_MAX, MA_BYTES_MAX, 1), UINT64_MAX);
    CHECK_U64(ma_muldiv_sat(MA_BYTES_MAX, 9999, 10000),
              MA_BYTES_MAX / 10000 * 9999 + MA_BYTES_MAX % 10000 * 9999 / 10000);
    CHECK_I64(ma_add_sat_i64(INT64_MAX, 1), INT64_MAX);
    CHECK_I64(ma_add_sat_i64(INT64_MIN, -1), INT64_MIN);
    CHECK_U64(ma_clamp_u64(5, 10, 3), 10);
    CHECK_U64(ma_mib_up(1), 1);
    CHECK_U64(ma_mib_down(MA_MIB - 1), 0);
    CHECK_U64(ma_round_up(UINT64_MAX - 1, MA_MIB), UINT64_MAX);
    uint64_t v = 1;
    CHECK_I64(ma_bytes_from_kib(UINT64_C(18014394215563264), &v), -ERANGE);
    CHECK_I64(ma_bytes_from_pages(UINT64_MAX, 4096, &v), -ERANGE);
    CHECK_U64(v, 1);
}

static void amounts_read_well(void) {
    char b[MA_FORMAT_MAX];
    CHECK_STR(ma_format_bytes(b, 0), "0 B");
    CHECK_STR(ma_format_bytes(b, 1536 * MA_MIB), "1.5 GiB");
    CHECK_STR(ma_format_bytes(b, MA_BYTES_MAX), "1024 TiB");
    CHECK_STR(ma_format_usec(b, 350000), "350ms");
    CHECK_STR(ma_format_usec(b, 62 * MA_USEC_PER_SEC), "1min 2s");
    CHECK_STR(ma_format_usec(b, MA_USEC_INFINITY), "never");
}

TAP_MAIN(TAP_CASE(sizes_need_a_unit_and_nothing_else),
         TAP_CASE(percents_and_times_likewise),
         TAP_CASE(arithmetic_says_what_it_does_at_the_edge),
         TAP_CASE(amounts_read_well));
