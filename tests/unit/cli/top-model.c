/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top-model.c - rows, order, cells and lines of memarbctl top, from answers of any shape. */
#include "top-model.h"

#include "bytes.h"
#include "tap.h"

static void take(struct ma_top *top, const char *guests) {
    json_t *list = json_loads(guests, 0, NULL);
    CHECK(list != NULL);
    CHECK(ma_top_take_guests(top, list));
    json_decref(list);
}

static void expect_order(const struct ma_top *top, const char *names) {
    char got[256] = "";
    for (size_t i = 0; i < top->n_rows; i++) {
        size_t len = strlen(got);
        (void) snprintf(got + len, sizeof(got) - len, "%s%s", i > 0 ? " " : "", top->rows[i].text);
    }
    CHECK_STR(got, names);
}

static const char three[] =
    "[{\"name\":\"b\",\"state\":\"running\",\"impact\":\"100\",\"actual_bytes\":3000,"
    "\"kill_frees_bytes\":10,\"taken\":[\"balloon\"]},"
    "{\"name\":\"a\",\"state\":\"paused\",\"impact\":\"never\",\"actual_bytes\":1000,"
    "\"kill_frees_bytes\":30,\"taken\":[\"pause\"]},"
    "{\"name\":\"c\",\"state\":\"running\",\"impact\":\"first\",\"kill_frees_bytes\":20,"
    "\"taken\":[],\"stuck\":true}]";

static void rows_are_sorted_by_any_column(void) {
    struct ma_top top;
    ma_top_init(&top);
    take(&top, three);
    expect_order(&top, "a c b"); /* by what a kill would free */
    ma_top_sort_by(&top, MA_TOP_FREES);
    expect_order(&top, "b c a");
    ma_top_sort_by(&top, MA_TOP_GUEST);
    expect_order(&top, "a b c");
    ma_top_sort_by(&top, MA_TOP_ACTUAL); /* what is not known comes last */
    expect_order(&top, "b a c");
    ma_top_sort_by(&top, MA_TOP_IMPACT); /* never above all numbers, first below */
    expect_order(&top, "a b c");
    ma_top_sort_by(&top, MA_TOP_STATE);
    expect_order(&top, "a b c");
    ma_top_sort_by(&top, MA_TOP_TAKEN);
    expect_order(&top, "c b a");
    CHECK(top.rows[0].is_odd && !top.rows[1].is_odd);
    take(&top, "[]");
    CHECK_U64(top.n_rows, 0);
    ma_top_fini(&top);
}

static void expect_cell(const char *guest, enum ma_top_column column, const char *text) {
    char buf[MA_TOP_CELL_MAX], list[512];
    struct ma_top top;
    ma_top_init(&top);
    (void) snprintf(list, sizeof(list), "[{%s}]", guest);
    take(&top, list);
    CHECK_STR(ma_top_cell(&top.rows[0], column, buf), text);
    ma_top_fini(&top);
}

static void cells_are_short(void) {
    expect_cell("\"actual_bytes\":0", MA_TOP_ACTUAL, "0B");
    expect_cell("\"actual_bytes\":1023", MA_TOP_ACTUAL, "1023B");
    expect_cell("\"actual_bytes\":1024", MA_TOP_ACTUAL, "1.0K");
    expect_cell("\"actual_bytes\":10737418240", MA_TOP_ACTUAL, "10G");
    expect_cell("\"actual_bytes\":1610612736", MA_TOP_ACTUAL, "1.5G");
    expect_cell("\"actual_bytes\":1125899906842624", MA_TOP_ACTUAL, "1.0P");
    expect_cell("\"actual_bytes\":9223372036854775807", MA_TOP_ACTUAL, "1638P");
    expect_cell("\"actual_bytes\":-5", MA_TOP_ACTUAL, "0B");
    expect_cell("\"x\":1", MA_TOP_TARGET, "-");
    expect_cell("\"target_bytes\":\"1\"", MA_TOP_TARGET, "-");
    expect_cell("\"pressure_permyriad\":1234", MA_TOP_PRESSURE, "12.3");
    expect_cell("\"x\":1", MA_TOP_PRESSURE, "-");
    expect_cell("\"taken\":[\"balloon\",\"pause\"]", MA_TOP_TAKEN, "balloon pause");
    expect_cell("\"x\":1", MA_TOP_TAKEN, "-");
    expect_cell("\"x\":1", MA_TOP_IMPACT, "-");
    expect_cell("\"uuid\":\"u1\"", MA_TOP_GUEST, "u1");
    expect_cell("\"name\":\"a\\u001b[2Jb\\u0085\\u009bc\"", MA_TOP_GUEST,
                "a?[2Jb?\x85?\x9b"
                "c");
}

static void columns_fit_any_width(void) {
    for (int width = 1; width < 400; width++) {
        int used = 0;
        for (int i = 0; i < MA_TOP_COLUMNS; i++) {
            int w = ma_top_width((enum ma_top_column) i, width);
            CHECK(w >= 0);
            used += w > 0 ? w + (i > 0) : 0;
            CHECK(w == 0 || i == 0 || (size_t) w >= strlen(ma_top_header((enum ma_top_column) i)));
        }
        CHECK(used <= width || width < 2);
    }
    CHECK(ma_top_width(MA_TOP_TAKEN, 80) > 0 && ma_top_width(MA_TOP_GUEST, 80) >= 12);
    CHECK(ma_top_width(MA_TOP_TAKEN, 50) == 0 && ma_top_width(MA_TOP_ACTUAL, 50) > 0);
}

static void the_host_is_told_in_lines(void) {
    struct ma_top top;
    ma_top_init(&top);
    json_t *status = json_loads(
        "{\"host_meaning\":\"machine\",\"pressure\":\"hard\",\"in_incident\":true,\"arm\":\"kill\","
        "\"guests\":7,\"total_bytes\":17179869184,\"available_bytes\":1073741824,"
        "\"swap_total_bytes\":4096,\"swap_free_bytes\":1024,\"psi_some_permyriad\":123,"
        "\"psi_full_permyriad\":45,\"pins\":{\"pinned_bytes\":2048,\"budget_bytes\":4096},"
        "\"resources\":[{\"resource\":\"ram\",\"time_left_usec\":12000000},"
        "{\"resource\":\"node1\",\"time_left_usec\":3000000}],"
        "\"nodes\":[{\"id\":0,\"total_bytes\":2048,\"available_bytes\":1024},"
        "{\"id\":1,\"total_bytes\":2048,\"available_bytes\":0}]}",
        0, NULL);
    CHECK(status != NULL);
    ma_top_take_status(&top, status);
    CHECK_U64(top.n_host, 4);
    CHECK_STR(top.host[0], "machine  pressure hard (incident)  armed kill  7 guests");
    CHECK(strstr(top.host[1], "1.0G of 16G available") != NULL);
    CHECK(strstr(top.host[1], ", empty in 12.0s") != NULL);
    CHECK_STR(top.host[2],
              "psi    some 1.2% full 0.4%; swap 1.0K of 4.0K free; pinned 2.0K of 4.0K");
    CHECK_STR(top.host[3], "node0  1.0K of 2.0K; node1  0B of 2.0K, empty in 3.0s");
    json_decref(status);
    ma_top_take_status(&top, NULL);
    CHECK_U64(top.n_host, 3); /* one node, or none, is no line */
    ma_top_fini(&top);
}

static void the_last_events_are_kept(void) {
    struct ma_top top;
    ma_top_init(&top);
    for (int i = 0; i < MA_TOP_EVENT_MAX + 3; i++) {
        json_t *event = json_pack("{s:s, s:s, s:o}", "kind", "kill", "name", "a\nb", "message",
                                  json_sprintf("number %d", i));
        ma_top_take_event(&top, event);
        json_decref(event);
    }
    CHECK_U64(top.n_events, MA_TOP_EVENT_MAX);
    CHECK_STR(top.events[0], "- kill a?b: number 3");
    ma_top_clear_events(&top);
    CHECK_U64(top.n_events, 0);
    ma_top_take_event(&top, NULL);
    ma_top_fini(&top);
}

static void any_shape_is_survived(void) {
    struct ma_top top;
    ma_top_init(&top);
    take(&top, "[1,null,{},[],{\"name\":5,\"taken\":7,\"impact\":{}}]");
    CHECK_U64(top.n_rows, 5);
    take(&top, "{}");
    CHECK_U64(top.n_rows, 0);
    ma_top_fini(&top);
}

TAP_MAIN(TAP_CASE(rows_are_sorted_by_any_column),
         TAP_CASE(cells_are_short),
         TAP_CASE(columns_fit_any_width),
         TAP_CASE(the_host_is_told_in_lines),
         TAP_CASE(the_last_events_are_kept),
         TAP_CASE(any_shape_is_survived));
