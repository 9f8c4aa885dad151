/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* bytes.h - quantities: bytes, permyriad, microseconds; arithmetic that says by its name what it does at the edge.
 *
 * One bound holds everywhere: no quantity above MA_BYTES_MAX gets in. Then a sum over MA_GUESTS_MAX guests and a
 * product with a permyriad fit 64 bits, and no decision can wrap. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MA_KIB (UINT64_C(1) << 10)
#define MA_MIB (UINT64_C(1) << 20)
#define MA_GIB (UINT64_C(1) << 30)
#define MA_TIB (UINT64_C(1) << 40)

/* 1 PiB. Larger than any host; small enough that 16384 guests of it fit 64 bits. */
#define MA_BYTES_MAX (UINT64_C(1) << 50)
/* The contract's limit of guests in a snapshot. */
#define MA_GUESTS_MAX     16384U
#define MA_PERMYRIAD_FULL 10000U

#define MA_USEC_PER_SEC  UINT64_C(1000000)
#define MA_USEC_PER_MSEC UINT64_C(1000)
#define MA_USEC_INFINITY UINT64_MAX

static inline uint64_t ma_min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
static inline uint64_t ma_max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}
static inline int64_t ma_min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t ma_max_i64(int64_t a, int64_t b) {
    return a > b ? a : b;
}
/* low <= high is the caller's promise; with low > high the result is low (a floor outranks a ceiling). */
static inline uint64_t ma_clamp_u64(uint64_t v, uint64_t low, uint64_t high) {
    return ma_max_u64(low, ma_min_u64(v, high));
}

/* a - b, 0 where it would go below. */
static inline uint64_t ma_sub_floor0(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}
/* a + b, UINT64_MAX where it would not fit. */
static inline uint64_t ma_add_sat(uint64_t a, uint64_t b) {
    uint64_t r;
    return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}
/* a * b, UINT64_MAX where it would not fit. */
static inline uint64_t ma_mul_sat(uint64_t a, uint64_t b) {
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}
/* Signed sum, held at the ends of int64_t. */
static inline int64_t ma_add_sat_i64(int64_t a, int64_t b) {
    int64_t r;
    if (__builtin_add_overflow(a, b, &r)) {
        return b > 0 ? INT64_MAX : INT64_MIN;
    }
    return r;
}
/* a - b as a signed difference; a, b <= INT64_MAX (every bounded quantity is). */
static inline int64_t ma_delta_i64(uint64_t a, uint64_t b) {
    return (int64_t) a - (int64_t) b;
}
/* value * num / den rounded down through 128 bits, UINT64_MAX where it would not fit; den > 0. */
static inline uint64_t ma_muldiv_sat(uint64_t value, uint64_t num, uint64_t den) {
    uint64_t small;
    if (!__builtin_mul_overflow(value, num, &small)) { /* the usual case, without a wide division */
        return small / den;
    }
    unsigned __int128 r = (unsigned __int128) value * num / den;
    return r > UINT64_MAX ? UINT64_MAX : (uint64_t) r;
}
/* value * permyriad / 10000, rounded down. */
static inline uint64_t ma_permyriad_of(uint64_t value, uint64_t permyriad) {
    return ma_muldiv_sat(value, permyriad, MA_PERMYRIAD_FULL);
}
/* Rounded to whole units of `unit` > 0. */
static inline uint64_t ma_round_down(uint64_t v, uint64_t unit) {
    return v - v % unit;
}
static inline uint64_t ma_round_up(uint64_t v, uint64_t unit) {
    uint64_t down = v - v % unit;
    return down == v ? v : ma_add_sat(down, unit);
}
/* Whole MiB: what a shortage needs is rounded up, what an action returns is rounded down. */
static inline uint64_t ma_mib_up(uint64_t bytes) {
    return ma_round_up(bytes, MA_MIB) / MA_MIB;
}
static inline uint64_t ma_mib_down(uint64_t bytes) {
    return bytes / MA_MIB;
}

/* KiB and pages exist only at the edge that speaks them. -ERANGE above MA_BYTES_MAX. */
int ma_bytes_from_kib(uint64_t kib, uint64_t *ret_bytes);
int ma_bytes_from_pages(uint64_t pages, uint64_t page_size_bytes, uint64_t *ret_bytes);

/* "4GiB", "512MiB", "1.5GiB", "65536B" -> bytes. Suffix required (B KiB MiB GiB TiB); no sign, no blanks, at most
 * three decimals, nothing behind. -EINVAL: form; -ERANGE: above MA_BYTES_MAX. */
int ma_parse_bytes(const char *text, uint64_t *ret_bytes);
/* "10%", "2.5%", "400%" -> permyriad; -ERANGE above max_permyriad. */
int ma_parse_percent(const char *text, uint64_t max_permyriad, uint64_t *ret_permyriad);
/* "500ms", "60s", "10min", "2h", "250us", "1d" -> microseconds; unit required. -ERANGE above 10 years. */
int ma_parse_usec(const char *text, uint64_t *ret_usec);
/* Decimal, no sign, no blanks, nothing behind. -EINVAL, -ERANGE above max. */
int ma_parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* Longest output of the formatters below, NUL included. */
#define MA_FORMAT_MAX 32
/* "1.5 GiB", "64 MiB", "12 KiB": at most one decimal, rounded to nearest. Returns buf. */
char *ma_format_bytes(char buf[MA_FORMAT_MAX], uint64_t bytes);
/* "1h 2min", "12.5s", "350ms", "8us". Returns buf. */
char *ma_format_usec(char buf[MA_FORMAT_MAX], uint64_t usec);
