/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bounded writer: exact text, valid whatever the strings, and cut cleanly. */
#include "json-write.h"
#include "tap.h"

static void text_is_compact_and_in_order(void) {
    char buf[200];
    struct ma_json j;
    ma_json_init(&j, buf, sizeof(buf));
    ma_json_object(&j, NULL);
    ma_json_u64(&j, "b", UINT64_MAX);
    ma_json_i64(&j, "a", INT64_MIN);
    ma_json_array(&j, "list");
    ma_json_bool(&j, NULL, true);
    ma_json_object(&j, NULL);
    ma_json_end_object(&j);
    ma_json_i64(&j, NULL, -7);
    ma_json_end_array(&j);
    ma_json_string(&j, "left out", NULL);
    ma_json_string(&j, "s", "");
    ma_json_bool(&j, "f", false);
    ma_json_end_object(&j);
    CHECK(!j.is_truncated && j.depth == 0);
    CHECK_STR(buf, "{\"b\":18446744073709551615,\"a\":-9223372036854775808,\"list\":[true,{},-7],"
                   "\"s\":\"\",\"f\":false}");
    CHECK_U64(j.len, strlen(buf));
}

static void check_string(const char *value, const char *expected) {
    char buf[200];
    struct ma_json j;
    ma_json_init(&j, buf, sizeof(buf));
    ma_json_string(&j, NULL, value);
    CHECK_STR(buf, expected);
}

#define BAD "\xEF\xBF\xBD"
static void strings_are_escaped_and_mended(void) {
    check_string("a\"b\\c/", "\"a\\\"b\\\\c/\"");
    check_string("\b\t\n\v\f\r\x01\x1f\x7f", "\"\\b\\t\\n\\u000b\\f\\r\\u0001\\u001f\x7f\"");
    check_string("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                 "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    check_string("\x80", "\"" BAD "\"");
    check_string("\xc0\x80", "\"" BAD BAD "\"");         /* overlong NUL */
    check_string("\xed\xa0\x80", "\"" BAD BAD BAD "\""); /* a surrogate */
    check_string("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
    check_string("\xe2\x82", "\"" BAD BAD "\""); /* cut off */
    check_string("\xf0\x9f\x98x", "\"" BAD BAD BAD "x\"");
    check_string("\xff\xfe", "\"" BAD BAD "\"");
}

static void what_does_not_fit_is_said_and_nothing_written_behind_it(void) {
    for (size_t size = 0; size < 30; size++) {
        char *buf = malloc(size + 1);
        struct ma_json j;
        CHECK(buf != NULL);
        buf[size] = 'x';
        ma_json_init(&j, buf, size);
        ma_json_object(&j, NULL);
        ma_json_string(&j, "key", "value");
        ma_json_u64(&j, "n", 12345);
        ma_json_end_object(&j);
        CHECK(j.is_truncated == (size < 26)); /* {"key":"value","n":12345} and NUL */
        CHECK(buf[size] == 'x');
        CHECK(size == 0 || strlen(buf) == j.len);
        free(buf);
    }
}

static void misuse_is_never_valid_json(void) {
    char buf[200];
    struct ma_json j;
    ma_json_init(&j, buf, sizeof(buf));
    ma_json_end_object(&j);
    CHECK(j.is_truncated);
    ma_json_init(&j, buf, sizeof(buf));
    for (unsigned i = 0; i < MA_JSON_DEPTH_MAX; i++) {
        ma_json_array(&j, NULL);
    }
    CHECK(j.is_truncated);
}

TAP_MAIN(TAP_CASE(text_is_compact_and_in_order),
         TAP_CASE(strings_are_escaped_and_mended),
         TAP_CASE(what_does_not_fit_is_said_and_nothing_written_behind_it),
         TAP_CASE(misuse_is_never_valid_json));
