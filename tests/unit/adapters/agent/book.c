/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of a guest's lines count, and what they come to; numbers are the invariants of book.c. */
#include "book.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "tap.h"

#define SECOND MA_USEC_PER_SEC
#define TOKEN  UINT64_C(77)

static struct ma_agent_book book;
static struct ma_agent_claims claims;

static enum ma_agent_verdict say(const struct mag_report *report, uint64_t now_usec) {
    char line[MAG_LINE_MAX];
    size_t length = mag_report_format(report, line);

    return ma_agent_book_line(&book, line, length - 1, now_usec, &claims);
}

static struct mag_report honest(uint64_t seq, uint64_t guest_usec) {
    return (struct mag_report){.has = MAG_HAS_MEM_TOTAL | MAG_HAS_MEM_AVAILABLE |
                                      MAG_HAS_SOME_AVG10 | MAG_HAS_SOME_TOTAL,
                               .token = TOKEN,
                               .run = 5,
                               .seq = seq,
                               .now_usec = guest_usec,
                               .mem_total_bytes = MA_GIB,
                               .mem_available_bytes = MA_GIB / 4};
}

static void open_book(void) {
    ma_agent_book_open(&book, TOKEN, 1000 * SECOND);
}

static void i1_only_this_connections_token_counts(void) {
    struct mag_report report = honest(1, SECOND);

    open_book();
    report.token = 0;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_UNASKED);
    report.token = TOKEN - 1;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_UNASKED);
    CHECK(!book.is_answered);
    report.token = TOKEN;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.stats.claimed_available_bytes, MA_GIB / 4);
    ma_agent_book_renew(&book, TOKEN + 1);
    report.seq = 2;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_UNASKED);
}

static void i2_number_and_time_must_move(void) {
    struct mag_report report = honest(5, 10 * SECOND);

    open_book();
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_COUNTS);
    CHECK_I64(say(&report, 1001 * SECOND), MA_AGENT_REPLAYED);
    report.seq = 6;
    CHECK_I64(say(&report, 1001 * SECOND), MA_AGENT_REPLAYED);
    report.now_usec = 11 * SECOND;
    report.seq = 4;
    CHECK_I64(say(&report, 1001 * SECOND), MA_AGENT_REPLAYED);
    report.seq = 6;
    CHECK_I64(say(&report, 1001 * SECOND), MA_AGENT_COUNTS);
    report.run = 6; /* another start of the agent */
    report.seq = 1;
    report.now_usec = SECOND;
    CHECK_I64(say(&report, 1002 * SECOND), MA_AGENT_COUNTS);
}

static void i3_what_was_long_under_way_is_late(void) {
    struct mag_report report = honest(1, 10 * SECOND);

    open_book();
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_COUNTS);
    report = honest(2, 11 * SECOND);
    CHECK_I64(say(&report, 1003 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.taken_usec, 1001 * SECOND);
    report = honest(3, 12 * SECOND);
    CHECK_I64(say(&report, 1006 * SECOND), MA_AGENT_LATE);
}

static void i4_rates_are_between_two_reports(void) {
    struct mag_report report = honest(1, 10 * SECOND);

    open_book();
    report.has |= MAG_HAS_SWAP_IN | MAG_HAS_REFAULTS;
    report.swap_in_bytes = 100 * MA_MIB;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.stats.has & MA_STATS_HAS_SWAP_IN, 0);
    report.seq = 2;
    report.now_usec = 12 * SECOND;
    report.swap_in_bytes = 120 * MA_MIB;
    report.refaults_count = 1000;
    CHECK_I64(say(&report, 1002 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.stats.claimed_swap_in_bytes_per_s, 10 * MA_MIB);
    CHECK_U64(claims.stats.claimed_major_faults_per_s, 500);
    report.seq = 3;
    report.now_usec = 13 * SECOND;
    report.swap_in_bytes = 0; /* restarted */
    CHECK_I64(say(&report, 1003 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.stats.has & MA_STATS_HAS_SWAP_IN, 0);
}

static void i5_a_flood_is_told_from_a_backlog(void) {
    uint64_t now = 1000 * SECOND;
    uint64_t read = 0;

    open_book();
    CHECK(ma_agent_book_pay(&book, 200000, now)); /* what lay in the channel's buffers */
    while (ma_agent_book_pay(&book, 4096, now)) {
        read += 4096;
        now += 10000;
    }
    CHECK(read < 100000);
    open_book();
    for (int k = 0; k < 100000; k++) { /* ten full lines a second, for hours */
        now += SECOND / 10;
        CHECK(ma_agent_book_pay(&book, 700, now));
    }
}

static void a_second_of_stall_is_heard_in_a_second(void) {
    struct mag_report report = honest(1, 10 * SECOND);

    open_book();
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_COUNTS);
    CHECK_U64(claims.pressure.some_avg10_permyriad, 0);
    report.seq = 2;
    report.now_usec = 11 * SECOND;
    report.some_total_usec = SECOND; /* the kernel's avg10 is still 0 */
    CHECK_I64(say(&report, 1001 * SECOND), MA_AGENT_COUNTS);
    CHECK(claims.pressure.some_avg10_permyriad > 500 &&
          claims.pressure.some_avg10_permyriad < 1000);
    report.seq = 3;
    report.now_usec = 11 * SECOND + 100000;
    report.is_alarm = true;
    CHECK_I64(say(&report, 1001 * SECOND + 100000), MA_AGENT_COUNTS);
    CHECK(claims.is_alarm && claims.pressure.some_avg10_permyriad >= 1000);
}

static void what_contradicts_itself_is_bad(void) {
    struct mag_report report = honest(1, SECOND);

    open_book();
    report.mem_available_bytes = 2 * MA_GIB;
    CHECK_I64(say(&report, 1000 * SECOND), MA_AGENT_BAD);
    CHECK_I64(ma_agent_book_line(&book, "[{[{[{", 6, 1000 * SECOND, &claims), MA_AGENT_BAD);
    CHECK_U64(book.last.seq, 0);
}

/* Random lines, most of them nearly right: what counts has rising numbers, and figures within their bounds. */
static void random_lines_stay_within_bounds(void) {
    uint64_t seed = 20261122;
    uint64_t counted = 0;
    uint64_t now = 1000 * SECOND;

    (void) fprintf(stderr, "# seed %" PRIu64 "\n", seed);
    open_book();
    for (int k = 0; k < 20000; k++) {
        struct mag_report report = honest(tap_below(&seed, 50), tap_below(&seed, 20) * SECOND);
        struct mag_report last = book.last;

        now += tap_below(&seed, SECOND);
        report.has = (uint32_t) tap_random(&seed) & ((1U << 14) - 1);
        report.run = 1 + tap_below(&seed, 2);
        report.seq += (uint64_t) k / 4;
        report.now_usec += now - 1000 * SECOND;
        report.token = TOKEN + (tap_below(&seed, 8) == 0);
        report.swap_in_bytes = tap_random(&seed) >> tap_below(&seed, 64);
        report.refaults_count = tap_random(&seed) >> tap_below(&seed, 64);
        report.some_total_usec = tap_random(&seed) >> tap_below(&seed, 64);
        report.some_avg10_permyriad = tap_below(&seed, 10001);
        report.is_alarm = tap_below(&seed, 2) == 0;
        if (say(&report, now) != MA_AGENT_COUNTS) {
            continue;
        }
        counted++;
        CHECK(report.token == TOKEN);
        CHECK(last.seq == 0 || last.run != report.run || book.last.seq > last.seq);
        CHECK(claims.taken_usec <= now && claims.taken_usec > 0);
        CHECK(claims.stats.claimed_swap_in_bytes_per_s <= MA_BYTES_MAX);
        CHECK(claims.stats.claimed_major_faults_per_s <= MA_BYTES_MAX);
        CHECK(claims.pressure.some_avg10_permyriad <= MA_PERMYRIAD_FULL);
    }
    CHECK(counted > 100);
}

TAP_MAIN(TAP_CASE(i1_only_this_connections_token_counts),
         TAP_CASE(i2_number_and_time_must_move),
         TAP_CASE(i3_what_was_long_under_way_is_late),
         TAP_CASE(i4_rates_are_between_two_reports),
         TAP_CASE(i5_a_flood_is_told_from_a_backlog),
         TAP_CASE(a_second_of_stall_is_heard_in_a_second),
         TAP_CASE(what_contradicts_itself_is_bad),
         TAP_CASE(random_lines_stay_within_bounds));
