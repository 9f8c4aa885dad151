/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of resources. */
#include <errno.h>

#include "rows.h"
#include "tap.h"

static void keys_are_written_and_read_alike(void) {
    static const char *const keys[] = {"ram",
                                       "swap",
                                       "pin",
                                       "node0",
                                       "node1023",
                                       "hugepages-node7",
                                       "ram-within-500ms",
                                       "node12-within-1ms",
                                       "hugepages-node1023-within-4294967295ms"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct ma_row row;
        char buf[MA_ROW_KEY_MAX];
        CHECK_I64(ma_row_from_key(keys[i], &row), 0);
        CHECK_STR(ma_row_key(buf, &row), keys[i]);
    }
}

static void what_is_no_key_is_refused(void) {
    static const char *const wrong[] = {"",
                                        "RAM",
                                        "ram ",
                                        " ram",
                                        "rams",
                                        "node",
                                        "node-1",
                                        "node01",
                                        "node1024",
                                        "node1x",
                                        "node99999999999999999999",
                                        "ram0",
                                        "hugepages",
                                        "hugepages-node",
                                        "ram-within-",
                                        "ram-within-ms",
                                        "ram-within-0ms",
                                        "ram-within-05ms",
                                        "ram-within-5",
                                        "ram-within-5s",
                                        "ram-within-5ms ",
                                        "ram-within-4294967296ms",
                                        "ram-within-5ms-within-5ms",
                                        "node1-",
                                        "-"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ma_row row = {.within_ms = 9};
        if (ma_row_from_key(wrong[i], &row) != -EINVAL || row.within_ms != 9) {
            TAP_FAIL("\"%s\" is taken for a key", wrong[i]);
        }
    }
}

static void the_longest_key_fits(void) {
    struct ma_row row = {
        .kind = MA_ROW_HUGEPAGES_NODE, .node = UINT16_MAX, .within_ms = UINT32_MAX};
    char buf[MA_ROW_KEY_MAX];
    CHECK_STR(ma_row_key(buf, &row), "hugepages-node65535-within-4294967295ms");
}

static void equality_looks_at_nodes_only_where_there_are_some(void) {
    struct ma_row a = {.kind = MA_ROW_RAM, .node = 1};
    struct ma_row b = {.kind = MA_ROW_RAM, .node = 2};
    CHECK(ma_row_equal(&a, &b));
    a.kind = b.kind = MA_ROW_NODE;
    CHECK(!ma_row_equal(&a, &b));
    b = a;
    b.within_ms = 1;
    CHECK(!ma_row_equal(&a, &b));
}

TAP_MAIN(TAP_CASE(keys_are_written_and_read_alike),
         TAP_CASE(what_is_no_key_is_refused),
         TAP_CASE(the_longest_key_fits),
         TAP_CASE(equality_looks_at_nodes_only_where_there_are_some));
