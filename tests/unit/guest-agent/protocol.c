/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* protocol.c - one line of the agent or of the host: what is said comes back the same, and nothing else is understood. */
#include <errno.h>

#include "protocol.h"
#include "tap.h"

#define HEAD "token=7 run=99 seq=3 now=1000000 alarm=0 veto=0"
#define ALL  ((MAG_HAS_SQUEEZE << 1) - 1)

static int parse(const char *line, struct mag_report *ret) {
    return mag_report_parse(line, strlen(line), ret);
}

static int refused(const char *line) {
    struct mag_report report = {.seq = 4711};
    int r = parse(line, &report);
    CHECK_U64(report.seq, r < 0 ? 4711 : 3);
    return r;
}

static struct mag_report full(uint64_t v) {
    return (struct mag_report){
        .has = ALL,
        .token = v,
        .run = v,
        .seq = v,
        .now_usec = v,
        .is_alarm = v != 0,
        .is_veto = v != 0,
        .mem_total_bytes = v,
        .mem_available_bytes = v,
        .mem_free_bytes = v,
        .swap_total_bytes = v,
        .swap_free_bytes = v,
        .swap_in_bytes = v,
        .swap_out_bytes = v,
        .refaults_count = v,
        .oom_kills_count = v,
        .some_avg10_permyriad = v,
        .full_avg10_permyriad = v,
        .some_total_usec = v,
        .full_total_usec = v,
        .squeeze = v,
        .hook = v,
    };
}

/* The wire is an agreement between versions that are years apart: this text may grow, never change. */
static void a_report_reads_as_it_is_written_down(void) {
    struct mag_report report = full(1);
    report.mem_total_bytes = MA_BYTES_MAX;
    report.is_veto = false;
    char buf[MAG_LINE_MAX];
    size_t n = mag_report_format(&report, buf);
    buf[n] = '\0';
    CHECK_STR(buf,
              "memarb/1 report token=1 run=1 seq=1 now=1 alarm=1 veto=0 mem_total=1125899906842624 "
              "mem_available=1 mem_free=1 swap_total=1 swap_free=1 swap_in=1 swap_out=1 refaults=1 "
              "oom_kills=1 "
              "some_avg10=1 some_total=1 full_avg10=1 full_total=1 squeeze=1 hook=1\n");
    struct mag_report back;
    CHECK_I64(mag_report_parse(buf, n - 1, &back), 0);
    CHECK_U64(back.has, ALL);
    CHECK_U64(back.mem_total_bytes, MA_BYTES_MAX);
    CHECK(back.is_alarm && !back.is_veto);
    CHECK_U64(back.full_total_usec, 1);
    CHECK_U64(back.hook, MAG_HOOK_RUNNING);
}

static void the_longest_report_fits_and_is_bounded(void) {
    struct mag_report report = full(UINT64_MAX);
    char buf[MAG_LINE_MAX];
    size_t n = mag_report_format(&report, buf);
    CHECK(n < MAG_LINE_MAX && n <= 650);
    CHECK(buf[n - 1] == '\n');
    CHECK_I64(mag_report_parse(buf, n - 1, &report), 0);
    CHECK_U64(report.mem_available_bytes, MA_BYTES_MAX);
    CHECK_U64(report.some_avg10_permyriad, MA_PERMYRIAD_FULL);
    CHECK_U64(report.swap_in_bytes, MAG_COUNT_MAX);
    CHECK_U64(report.hook, MAG_HOOK_VETO);
}

static void what_a_guest_cannot_measure_is_left_out(void) {
    struct mag_report report = full(5);
    report.has = MAG_HAS_MEM_AVAILABLE;
    char buf[MAG_LINE_MAX];
    size_t n = mag_report_format(&report, buf);
    struct mag_report back;
    CHECK_I64(mag_report_parse(buf, n - 1, &back), 0);
    CHECK_U64(back.has, MAG_HAS_MEM_AVAILABLE);
    CHECK_U64(back.mem_available_bytes, 5);
    CHECK_U64(back.some_total_usec, 0);
}

static void a_later_agent_may_say_more(void) {
    struct mag_report report;
    CHECK_I64(parse("memarb/1 report " HEAD " zswap_2=18446744073709551615 mem_free=8", &report),
              0);
    CHECK_U64(report.has, MAG_HAS_MEM_FREE);
    CHECK_U64(report.mem_free_bytes, 8);
    CHECK_U64(report.token, 7);
}

static void other_forms_are_refused_whole(void) {
    static const char *const bad[] = {
        "",
        "memarb",
        "memarb/",
        "memarb/1",
        "memarb/1 ",
        "memarb/1 report",
        "memarb/1  report " HEAD,
        "memarb/1\treport " HEAD,
        " memarb/1 report " HEAD,
        "memarb/01 report " HEAD,
        "memarb/1 report " HEAD " ",
        "memarb/1 report " HEAD " mem_free",
        "memarb/1 report " HEAD " mem_free=",
        "memarb/1 report " HEAD " mem_free=-1",
        "memarb/1 report " HEAD " mem_free=+1",
        "memarb/1 report " HEAD " mem_free=01",
        "memarb/1 report " HEAD " mem_free=0x1",
        "memarb/1 report " HEAD " mem_free=1.5",
        "memarb/1 report " HEAD " mem_free=1 mem_free=1",
        "memarb/1 report " HEAD " mem_free=1\r",
        "memarb/1 report " HEAD "  mem_free=1",
        "memarb/1 report " HEAD " =1",
        "memarb/1 report " HEAD " 9k=1",
        "memarb/1 report " HEAD " Mem=1",
        "memarb/1 report " HEAD " a_key_of_more_than_thirty_two_letters=1",
        "memarb/1 report " HEAD " squeeze=1",
        "memarb/1 report " HEAD " hook=1",
        "memarb/1 report token=7 run=99 now=1 alarm=0 veto=0",
        "memarb/1 report " HEAD "memarb/1 report " HEAD,
        "{\"memarb\":1,\"report\":[[[[[[[[]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (refused(bad[i]) != -EBADMSG) {
            TAP_FAIL("understood: %s", bad[i]);
        }
    }
    struct mag_report report;
    CHECK_I64(mag_report_parse("memarb/1 report " HEAD "\0", strlen("memarb/1 report " HEAD) + 1,
                               &report),
              -EBADMSG);
}

static void other_versions_and_kinds_have_their_own_answer(void) {
    CHECK_I64(refused("memarb/2 report " HEAD), -EPROTONOSUPPORT);
    CHECK_I64(refused("memarb/18446744073709551615 report " HEAD), -EPROTONOSUPPORT);
    CHECK_I64(refused("memarb/1 rate token=1 now=1 fastest_msec=100 slowest_msec=100"), -ENOMSG);
    CHECK_I64(refused("memarb/1 boast " HEAD), -ENOMSG);
}

static void values_above_their_bound_are_refused(void) {
    static const char *const bad[] = {
        " mem_available=1125899906842625",
        " mem_available=18446744073709551615",
        " mem_available=18446744073709551616",
        " mem_available=99999999999999999999999999999999",
        " some_avg10=10001",
        " swap_in=1152921504606846977",
        " squeeze=1 hook=6",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[256];
        (void) snprintf(line, sizeof(line), "memarb/1 report " HEAD "%s", bad[i]);
        CHECK_I64(refused(line), -ERANGE);
    }
    CHECK_I64(refused("memarb/1 report token=7 run=0 seq=3 now=1 alarm=0 veto=0"), -ERANGE);
    CHECK_I64(refused("memarb/1 report token=7 run=1 seq=0 now=1 alarm=0 veto=0"), -ERANGE);
    CHECK_I64(refused("memarb/1 report token=7 run=1 seq=3 now=1 alarm=2 veto=0"), -ERANGE);
}

static void a_line_longer_than_the_bound_is_refused(void) {
    char line[2 * MAG_LINE_MAX];
    size_t n = (size_t) snprintf(line, sizeof(line), "memarb/1 report " HEAD);
    while (n < MAG_LINE_MAX) {
        n += (size_t) snprintf(line + n, sizeof(line) - n, " k=1");
    }
    struct mag_report report;
    CHECK_I64(mag_report_parse(line, n, &report), -EBADMSG);
}

static void requests_come_back_the_same(void) {
    char buf[MAG_LINE_MAX];
    struct mag_request back;
    struct mag_request rate = {.kind = MAG_REQUEST_RATE,
                               .token = 5,
                               .now_usec = 6,
                               .fastest_msec = 500,
                               .slowest_msec = 2000};
    size_t n = mag_request_format(&rate, buf);
    buf[n] = '\0';
    CHECK_STR(buf, "memarb/1 rate token=5 now=6 fastest_msec=500 slowest_msec=2000\n");
    CHECK_I64(mag_request_parse(buf, n - 1, &back), 0);
    CHECK(back.kind == MAG_REQUEST_RATE);
    CHECK_U64(back.slowest_msec, 2000);
    struct mag_request squeeze = {.kind = MAG_REQUEST_SQUEEZE,
                                  .token = 5,
                                  .now_usec = 7,
                                  .id = 8,
                                  .target_bytes = 1 << 20,
                                  .take_bytes = 4096,
                                  .deadline_msec = 1500};
    n = mag_request_format(&squeeze, buf);
    buf[n] = '\0';
    CHECK_STR(buf,
              "memarb/1 squeeze token=5 now=7 id=8 target=1048576 take=4096 deadline_msec=1500\n");
    CHECK_I64(mag_request_parse(buf, n - 1, &back), 0);
    CHECK(back.kind == MAG_REQUEST_SQUEEZE);
    CHECK_U64(back.deadline_msec, 1500);
}

static void requests_out_of_bounds_are_refused(void) {
    static const char *const bad[] = {
        "memarb/1 rate token=0 now=6 fastest_msec=500 slowest_msec=2000",
        "memarb/1 rate token=5 now=6 fastest_msec=99 slowest_msec=2000",
        "memarb/1 rate token=5 now=6 fastest_msec=100 slowest_msec=10001",
        "memarb/1 rate token=5 now=6 fastest_msec=2000 slowest_msec=500",
        "memarb/1 squeeze token=5 now=7 id=8 target=1 take=4096 deadline_msec=600001",
    };
    struct mag_request request = {.token = 4711};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(mag_request_parse(bad[i], strlen(bad[i]), &request), -ERANGE);
        CHECK_U64(request.token, 4711);
    }
    static const char form[] = "memarb/1 squeeze token=5 now=7 id=8 target=1 take=4096";
    CHECK_I64(mag_request_parse(form, strlen(form), &request), -EBADMSG);
}

static void age_is_what_a_line_took_longer_than_the_quickest(void) {
    struct mag_age age = {0};
    CHECK_U64(mag_age_usec(&age, 1000, 5001000), 0);
    CHECK_U64(mag_age_usec(&age, 2000, 5002500), 500);
    CHECK_U64(mag_age_usec(&age, 3000, 5002900), 0); /* quicker than the first */
    CHECK_U64(mag_age_usec(&age, 3000, 9002900), 4000000);
    CHECK_U64(mag_age_usec(&age, 0, UINT64_MAX), MAG_COUNT_MAX - 4999900);
    CHECK_U64(mag_age_usec(&age, UINT64_MAX, 0), 0);
    CHECK_U64(mag_age_usec(&age, 0, UINT64_MAX), 2 * MAG_COUNT_MAX);
}

TAP_MAIN(TAP_CASE(a_report_reads_as_it_is_written_down),
         TAP_CASE(the_longest_report_fits_and_is_bounded),
         TAP_CASE(what_a_guest_cannot_measure_is_left_out),
         TAP_CASE(a_later_agent_may_say_more),
         TAP_CASE(other_forms_are_refused_whole),
         TAP_CASE(other_versions_and_kinds_have_their_own_answer),
         TAP_CASE(values_above_their_bound_are_refused),
         TAP_CASE(a_line_longer_than_the_bound_is_refused),
         TAP_CASE(requests_come_back_the_same),
         TAP_CASE(requests_out_of_bounds_are_refused),
         TAP_CASE(age_is_what_a_line_took_longer_than_the_quickest));
