/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots from text: what is written comes back, whatever the order of the text, and what is wrong is named. */
#include "check.h"
#include "formats.h"
#include "json-write.h"
#include "random-snapshot.h"

#define TEXT_MAX (4U << 20)

static size_t write_snapshot(const struct ma_snapshot *snapshot, char *text) {
    struct ma_json json;
    ma_json_init(&json, text, TEXT_MAX);
    ma_json_snapshot(&json, NULL, snapshot);
    CHECK(!json.is_truncated);
    return json.len;
}

static void what_is_written_is_read_and_written_alike(void) {
    uint64_t seed = 4711;
    char *first = malloc(TEXT_MAX);
    char *second = malloc(TEXT_MAX);
    CHECK(first != NULL && second != NULL);
    for (unsigned round = 0; round < 400; round++) {
        uint64_t before = seed;
        struct ma_err err = {0};
        struct ma_snapshot_doc *doc = NULL;
        struct random_snapshot *r = random_snapshot_create(&seed, round % 12);
        size_t n = write_snapshot(&r->snapshot, first);
        int code = ma_formats_read_snapshot(first, n, &doc, &err);
        if (code < 0) {
            TAP_FAIL("seed %" PRIu64 ": %s", before, err.message);
        }
        CHECK_U64(write_snapshot(&doc->snapshot, second), n);
        if (strcmp(first, second) != 0) {
            TAP_FAIL("seed %" PRIu64 ": text differs\n%s\n%s", before, first, second);
        }
        for (size_t i = 0; i < r->snapshot.n_guests; i++) {
            CHECK_U64(doc->snapshot.guests[i].has, r->guests[i].has);
            CHECK_U64(doc->snapshot.guests[i].resident_bytes, r->guests[i].resident_bytes);
        }
        ma_snapshot_doc_free(doc);
        random_snapshot_free(r);
    }
    free(first);
    free(second);
}

#define HOST              "\"host\":{\"total_bytes\":1000,\"available_bytes\":10}"
#define GUEST(uuid, more) "{\"uuid\":\"" uuid "\",\"name\":\"n\",\"state\":\"running\"" more "}"
#define DOC(guests)       "{\"version\":1,\"taken_at_usec\":5," HOST ",\"guests\":[" guests "]}"
#define NODES                                                                                      \
    "\"host\":{\"total_bytes\":1000,\"available_bytes\":10,\"nodes\":["                            \
    "{\"id\":3,\"total_bytes\":500,\"available_bytes\":5},"                                        \
    "{\"id\":0,\"total_bytes\":500,\"available_bytes\":5}]}"
#define DOC_NODES(guests) "{\"version\":1,\"taken_at_usec\":5," NODES ",\"guests\":[" guests "]}"

static void guests_and_nodes_come_sorted(void) {
    const char *text = DOC_NODES(GUEST("b", ",\"nodes\":[{\"id\":3,\"resident_bytes\":1},{\"id\":0,"
                                            "\"resident_bytes\":2}]") "," GUEST("a", ""));
    struct ma_err err = {0};
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    if (ma_formats_read_snapshot(text, strlen(text), &doc, &err) < 0) {
        TAP_FAIL("%s", err.message);
    }
    CHECK_STR(doc->snapshot.guests[0].uuid, "a");
    CHECK_STR(doc->snapshot.guests[1].uuid, "b");
    CHECK_U64(doc->snapshot.host.nodes[0].id, 0);
    CHECK_U64(doc->snapshot.guests[1].nodes[0].resident_bytes, 2);
    CHECK_U64(ma_snapshot_find(&doc->snapshot, "b"), 1);
    CHECK(ma_snapshot_find(&doc->snapshot, "c") == SIZE_MAX);
    CHECK(ma_snapshot_node(&doc->snapshot, 3) != NULL);
    CHECK(ma_snapshot_node(&doc->snapshot, 1) == NULL);
}

/* What a snapshot's settings do not say is the default, not 0: a horizon of 0 would forget every projection. */
static void unsaid_settings_are_the_defaults(void) {
    const char *text = "{\"version\":1,\"taken_at_usec\":5,\"guests\":[]," HOST
                       ",\"settings\":{\"arm\":\"kill\"}}";
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    struct ma_settings defaults;

    ma_settings_init(&defaults);
    CHECK(ma_formats_read_snapshot(text, strlen(text), &doc, NULL) == 0);
    CHECK_U64(doc->snapshot.settings.has, MA_SETTINGS_HAS_ARM);
    CHECK_U64(doc->snapshot.settings.arm, MA_ARM_KILL);
    doc->snapshot.settings.has = 0;
    doc->snapshot.settings.arm = defaults.arm;
    CHECK(memcmp(&doc->snapshot.settings, &defaults, sizeof(defaults)) == 0);
}

/* Likewise from a record's header on: what a recorded snapshot does not say is the header's or the default. */
static void said_settings_are_taken_and_no_others(void) {
    struct ma_settings header;
    struct ma_settings said;

    ma_settings_init(&header);
    ma_settings_init(&said);
    header.horizon_usec = 9 * MA_USEC_PER_SEC;
    header.has = MA_SETTINGS_HAS_HORIZON;
    said.margin_permyriad = 77;
    said.has = MA_SETTINGS_HAS_MARGIN;
    ma_settings_take_said(&header, &said);
    CHECK_U64(header.horizon_usec, 9 * MA_USEC_PER_SEC);
    CHECK_U64(header.margin_permyriad, 77);
    CHECK_U64(header.has, MA_SETTINGS_HAS_HORIZON | MA_SETTINGS_HAS_MARGIN);
}

static void half_of_a_pair_is_not_known(void) {
    const char *text = "{\"version\":1,\"taken_at_usec\":5,\"guests\":[],\"host\":{"
                       "\"total_bytes\":9,\"available_bytes\":1,\"swap_total_bytes\":7}}";
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    CHECK(ma_formats_read_snapshot(text, strlen(text), &doc, NULL) == 0);
    CHECK_U64(doc->snapshot.host.has, 0);
    CHECK_U64(doc->snapshot.host.swap_total_bytes, 0);
}

static void a_claim_above_the_maximum_is_cut(void) {
    const char *text = DOC(GUEST("a", ",\"max_bytes\":100,\"actual_bytes\":101"));
    ma_autoptr(ma_snapshot_doc) doc = NULL;
    CHECK(ma_formats_read_snapshot(text, strlen(text), &doc, NULL) == 0);
    CHECK_U64(doc->snapshot.guests[0].actual_bytes, 100);
}

struct bad {
    const char *text;
    const char *start; /* of the message */
};
#define LONG63 "123456789012345678901234567890123456789012345678901234567890123"
static const struct bad bads[] = {
    {"", "line 1, column 0: "},
    {"[]", "$: is not an object"},
    {"{}", "$: \"version\" is missing"},
    {"{\"version\":2}", "$.version: is not 1"},
    {"{\"version\":true}", "$.version: is not 1"},
    {"{\"version\":1}", "$: \"taken_at_usec\" is missing"},
    {"{\"version\":1,\"taken_at_usec\":1,\"guests\":[]}", "$: \"host\" is missing"},
    {"{\"version\":1,\"taken_at_usec\":1," HOST "}", "$: \"guests\" is missing"},
    {"{\"version\":1,\"taken_at_usec\":1," HOST ",\"guests\":{}}", "$.guests: is not an array"},
    {"{\"version\":1,\"taken_at_usec\":-1}", "$.taken_at_usec: is negative"},
    {"{\"version\":1,\"taken_at_usec\":1.0}", "$.taken_at_usec: is not an integer"},
    {"{\"version\":1,\"taken_at_usec\":18446744073709551615}",
     "$.taken_at_usec: is beyond 64 bits"},
    {DOC(GUEST("a", "") "," GUEST("b", ",\"config\":{\"actions\":[1,-9223372036854775809]}")),
     "$.guests[1].config.actions[1]: is beyond 64 bits"},
    {"{\"version\":1,\"a\":9223372036854775808,\"b\":9223372036854775807}", "$.a: is beyond"},
    {"{\"version\":1,\"a\":9223372036854775807,\"b\":-18446744073709551616}", "$.b: is beyond"},
    {"9223372036854775808", "$: is beyond 64 bits"},
    {"{\"version\":1,\"a\":[9223372036854775808,1e999]}", "line 1, column"},
    {"{\"version\":1,\"a\":[9223372036854775808}", "line 1, column"},
    {"{\"version\":1,\"taken_at_usec\":1,\"taken_at_usec\":1}", "line 1, column"},
    {"{\"version\":1,\"taken\":1}", "$.taken: is a key that is unknown"},
    {"{\"version\":1,\"host\":{\"total_bytes\":1125899906842625}}", "$.host.total_bytes: is not b"},
    {"{\"version\":1,\"host\":{\"total_bytes\":\"1\"}}", "$.host.total_bytes: is not an integer"},
    {"{\"version\":1,\"host\":{\"total_bytes\":1}}", "$.host: \"available_bytes\" is missing"},
    {"{\"version\":1,\"host\":{\"pressure\":{\"some_avg10_permyriad\":10001}}}",
     "$.host.pressure.some_avg10_permyriad: is not between 0 and 10000"},
    {"{\"version\":1,\"host\":{\"nodes\":[{\"id\":1024}]}}", "$.host.nodes[0].id: is not between"},
    {"{\"version\":1,\"taken_at_usec\":1,\"guests\":[],\"host\":{\"total_bytes\":1,"
     "\"available_bytes\":2}}",
     "$.host.available_bytes: exceeds total_bytes"},
    {DOC("7"), "$.guests[0]: is not an object"},
    {DOC(GUEST("a", "") ",{\"uuid\":\"b\"}"), "$.guests[1]: \"name\" is missing"},
    {DOC(GUEST("b", "") "," GUEST("c", "") "," GUEST("a", "") "," GUEST("b", "")),
     "$.guests[3].uuid: names a guest twice"},
    {DOC(GUEST("", "")), "$.guests[0].uuid: is empty"},
    {DOC(GUEST(LONG63 "4", "")), "$.guests[0].uuid: is longer"},
    {DOC(GUEST("a", ",\"balloon\":{\"state\":\"fine\"}")),
     "$.guests[0].balloon.state: \"fine\" is no name"},
    {DOC(GUEST("a", ",\"balloon\":{\"inhibited_by\":[\"vfio\",\"vfio\"]}")),
     "$.guests[0].balloon.inhibited_by[1]: stands here twice"},
    {DOC(GUEST("a", ",\"config\":{\"impact\":0}")), "$.guests[0].config.impact: is not between 1"},
    {DOC(GUEST("a", ",\"config\":{\"impact\":1001}")), "$.guests[0].config.impact: is not between"},
    {DOC(GUEST("a", ",\"config\":{\"impact\":\"always\"}")),
     "$.guests[0].config.impact: \"always\""},
    {DOC(GUEST("a", ",\"config\":{\"shares\":0}")), "$.guests[0].config.shares: is not between 1"},
    {DOC(GUEST("a", ",\"config\":{\"actions\":[\"resume\"]}")),
     "$.guests[0].config.actions[0]: \"resume\" is no name"},
    {DOC(GUEST("a", ",\"config\":{\"guarantee_bytes\":2,\"limit_bytes\":1}")),
     "$.guests[0].config.guarantee_bytes: exceeds limit_bytes"},
    {DOC(GUEST("a", ",\"held\":1")), "$.guests[0].held: is neither true nor false"},
    {DOC(GUEST("a", ",\"held\":null")), "$.guests[0].held: is neither true nor false"},
    {DOC(GUEST("b", "") "," GUEST("a", ",\"pinned_bytes\":3,\"resident_bytes\":2")),
     "$.guests[1].pinned_bytes: exceeds what is resident"},
    {DOC(GUEST("a", ",\"nodes\":[{\"id\":0,\"resident_bytes\":1}]")),
     "$.guests[0].nodes[0].id: names a node that the host does not have"},
    {DOC_NODES(GUEST("b", "") "," GUEST("a",
                                        ",\"nodes\":[{\"id\":3,\"resident_bytes\":1},"
                                        "{\"id\":1,\"resident_bytes\":1}]")),
     "$.guests[1].nodes[1].id: names a node that"},
    {DOC_NODES(GUEST("a",
                     ",\"nodes\":[{\"id\":3,\"resident_bytes\":1},"
                     "{\"id\":0,\"resident_bytes\":1},{\"id\":3,\"resident_bytes\":1}]")),
     "$.guests[0].nodes[2].id: names a node twice"},
    {DOC(GUEST("b", ",\"max_bytes\":1125899906842624") "," GUEST("a", ",\"max_bytes\":1")),
     "$.guests[0].max_bytes: makes the sum"},
    {DOC(GUEST("a", ",\"growth_bytes_per_s\":-1125899906842625")),
     "$.guests[0].growth_bytes_per_s: is not between"},
    {"{\"version\":1,\"taken_at_usec\":1," HOST ",\"guests\":[],\"settings\":"
     "{\"hard_watermark_bytes\":9,\"soft_watermark_bytes\":8}}",
     "$.settings: hard_watermark_bytes exceeds soft_watermark_bytes"},
    {"{\"version\":1,\"taken_at_usec\":1," HOST ",\"guests\":[],\"settings\":{\"quiet_usec\":9}}",
     "$.settings.quiet_usec: is a key that is unknown"},
    {"{\"version\":1,\"settings\":{\"policy\":\"" LONG63 "\"}}", "$.settings.policy: is longer"},
    {"{\"version\":1,\"settings\":{\"arm\":\"all\"}}", "$.settings.arm: \"all\" is no name"},
    {"[[[[[[[[[[[[[[[[[\n", "line 1, column 17: nested more than 16 deep"},
};

static void what_is_wrong_is_named(void) {
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct ma_err err = {0};
        struct ma_snapshot_doc *doc = NULL;
        int code = ma_formats_read_snapshot(bads[i].text, strlen(bads[i].text), &doc, &err);
        CHECK(code == -EINVAL || code == -ERANGE);
        CHECK_I64(err.code, code);
        CHECK(doc == NULL);
        if (strncmp(err.message, bads[i].start, strlen(bads[i].start)) != 0) {
            TAP_FAIL("%s\nsays: %s\nnot: %s", bads[i].text, err.message, bads[i].start);
        }
    }
}

/* A NUL ends no number and no text. */
static void nul_is_an_error_with_a_place(void) {
    static const char text[] = "{\"version\":1,\n\"taken_at_usec\":1\0," HOST ",\"guests\":[]}";
    struct ma_err err = {0};
    struct ma_snapshot_doc *doc = NULL;

    CHECK_I64(ma_formats_read_snapshot(text, sizeof(text) - 1, &doc, &err), -EINVAL);
    CHECK_STR(err.message, "line 2, column 18: a NUL byte");
}

static void cut_anywhere_is_an_error_with_a_place(void) {
    static const char text[] =
        DOC_NODES(GUEST("a", ",\"config\":{\"impact\":\"never\",\"actions\":[\"kill\"]}"));
    for (size_t n = 0; n < strlen(text); n++) {
        struct ma_err err = {0};
        struct ma_snapshot_doc *doc = NULL;
        char *exact = malloc(n > 0 ? n : 1);
        CHECK(exact != NULL);
        memcpy(exact, text, n);
        CHECK(ma_formats_read_snapshot(exact, n, &doc, &err) < 0);
        CHECK(strstr(err.message, "line 1, column") != NULL);
        free(exact);
    }
}

static void the_largest_host_is_read_and_one_more_is_not(void) {
    for (unsigned more = 0; more < 2; more++) {
        size_t n_guests = MA_GUESTS_MAX + more;
        size_t size = n_guests * 64 + 200;
        char *text = malloc(size);
        struct ma_err err = {0};
        ma_autoptr(ma_snapshot_doc) doc = NULL;
        CHECK(text != NULL);
        size_t n = (size_t) snprintf(text, size,
                                     "{\"version\":1,\"taken_at_usec\":5," HOST ",\"guests\":[");
        for (size_t i = 0; i < n_guests; i++) {
            n += (size_t) snprintf(text + n, size - n,
                                   "%s{\"uuid\":\"%zu\",\"name\":\"\",\"state\":\"paused\"}",
                                   i > 0 ? "," : "", n_guests - i);
        }
        n += (size_t) snprintf(text + n, size - n, "]}");
        CHECK_I64(ma_formats_read_snapshot(text, n, &doc, &err), more == 0 ? 0 : -ERANGE);
        CHECK(more == 0 || strstr(err.message, "$.guests: has more than 16384") != NULL);
        free(text);
    }
}

TAP_MAIN(TAP_CASE(what_is_written_is_read_and_written_alike),
         TAP_CASE(guests_and_nodes_come_sorted),
         TAP_CASE(unsaid_settings_are_the_defaults),
         TAP_CASE(said_settings_are_taken_and_no_others),
         TAP_CASE(half_of_a_pair_is_not_known),
         TAP_CASE(a_claim_above_the_maximum_is_cut),
         TAP_CASE(what_is_wrong_is_named),
         TAP_CASE(nul_is_an_error_with_a_place),
         TAP_CASE(cut_anywhere_is_an_error_with_a_place),
         TAP_CASE(the_largest_host_is_read_and_one_more_is_not));
