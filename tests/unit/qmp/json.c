/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <errno.h>

#include "bytes.h"
#include "tap.h"

static json_t *parse(const char *text) {
    struct ma_err err;
    return qmp_json_parse(text, strlen(text), &err);
}

static void numbers_mean_what_qemu_means(void) {
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } rows[] = {
        {"{\"v\":0}", 0, 0},
        {"{\"v\":1125899906842624}", 0, UINT64_C(1) << 50},
        {"{\"v\":1125899906842625}", -ERANGE, 0},
        {"{\"v\":18446744073709551615}", -ENODATA, 0},
        {"{\"v\":9223372036854775808}", -ENODATA, 0},
        {"{\"v\":9223372036854774000}", -ERANGE, 0},
        {"{\"v\":1e300}", -ENODATA, 0},
        {"{\"v\":-1}", -ERANGE, 0},
        {"{\"v\":0.5}", -EINVAL, 0},
        {"{\"v\":\"7\"}", -EINVAL, 0},
        {"{\"v\":true}", -EINVAL, 0},
        {"{\"v\":null}", -ENOENT, 0},
        {"{\"v\":[1]}", -EINVAL, 0},
        {"{}", -ENOENT, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t v = 77;
        json_t *root = parse(rows[i].text);
        CHECK(root != NULL);
        CHECK_I64(qmp_json_bytes(json_object_get(root, "v"), &v), rows[i].r);
        CHECK_U64(v, rows[i].r == 0 ? rows[i].value : 77);
        json_decref(root);
    }
}
static void signed_numbers_are_kept_to_the_ends(void) {
    static const struct {
        const char *text;
        int r;
        int64_t value;
    } rows[] = {
        {"{\"v\":-4397241204736}", 0, -INT64_C(4397241204736)},
        {"{\"v\":18446744073709551615}", 0, INT64_MAX},
        {"{\"v\":-1e40}", 0, INT64_MIN},
        {"{\"v\":-0.5}", -EINVAL, 0},
        {"{\"v\":{}}", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t v = 0;
        json_t *root = parse(rows[i].text);
        CHECK_I64(qmp_json_i64(json_object_get(root, "v"), &v), rows[i].r);
        CHECK_I64(v, rows[i].value);
        json_decref(root);
    }
}
static void bad_lines_are_refused(void) {
    static const char *const rows[] = {"",
                                       "{",
                                       "[]",
                                       "7",
                                       "{\"a\":1}x",
                                       "{\"a\":1e999}",
                                       "\xff",
                                       "{\"a\":\"\xc3\"}",
                                       "{\"a\":\"\\u0000\"}",
                                       "{\"a\" 1}",
                                       "{\"\\u0000\":1}"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_err err = {0};
        if (qmp_json_parse(rows[i], strlen(rows[i]), &err) != NULL) {
            TAP_FAIL("accepted: %s", rows[i]);
        }
        CHECK(err.message[0] != '\0');
    }
}
static void depth_and_number_of_values_are_bounded(void) {
    static char text[300000];
    struct ma_err err;
    for (unsigned depth = 31; depth <= 32; depth++) {
        (void) snprintf(text, sizeof(text), "{\"a\":%.*s%.*s}", (int) depth,
                        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", (int) depth,
                        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
        json_t *root = qmp_json_parse(text, strlen(text), &err);
        CHECK((root != NULL) == (depth == 31));
        json_decref(root);
    }
    size_t n = (size_t) snprintf(text, sizeof(text), "{\"a\":[0");
    while (n < 260000) {
        n += (size_t) snprintf(text + n, sizeof(text) - n, ",0");
    }
    (void) snprintf(text + n, sizeof(text) - n, "]}");
    CHECK(parse(text) == NULL);
    CHECK(parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"") == NULL);
}
static void brackets_in_strings_do_not_count(void) {
    json_t *root = parse("{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}");
    CHECK(root != NULL);
    json_decref(root);
}
static void text_is_cut_at_a_character_and_cleaned(void) {
    char out[8];
    qmp_text_copy(out, sizeof(out), "a\x1b[\x7f\n");
    CHECK_STR(out, "a?[??");
    qmp_text_copy(out, sizeof(out), "123456\xc3\xa4");
    CHECK_STR(out, "123456");
    qmp_text_copy(out, sizeof(out), "12345\xc3\xa4");
    CHECK_STR(out, "12345\xc3\xa4");
    qmp_text_copy(out, sizeof(out), "x\xc2\x9by");
    CHECK_STR(out, "x??y");
    CHECK_I64(qmp_json_text(NULL, out, sizeof(out)), -EINVAL);
}
static void booleans_are_booleans(void) {
    bool b = false;
    json_t *root = parse("{\"t\":true,\"n\":1}");
    CHECK_I64(qmp_json_bool(json_object_get(root, "t"), &b), 0);
    CHECK(b);
    CHECK_I64(qmp_json_bool(json_object_get(root, "n"), &b), -EINVAL);
    CHECK_I64(qmp_json_bool(json_object_get(root, "x"), &b), -ENOENT);
    json_decref(root);
}

TAP_MAIN(TAP_CASE(numbers_mean_what_qemu_means),
         TAP_CASE(signed_numbers_are_kept_to_the_ends),
         TAP_CASE(bad_lines_are_refused),
         TAP_CASE(depth_and_number_of_values_are_bounded),
         TAP_CASE(brackets_in_strings_do_not_count),
         TAP_CASE(text_is_cut_at_a_character_and_cleaned),
         TAP_CASE(booleans_are_booleans));
