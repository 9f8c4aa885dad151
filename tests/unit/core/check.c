/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots that a source built, checked before anything is decided on them. */
#include "check.h"
#include "bytes.h"
#include "tap.h"
#include <errno.h>

static struct ma_node nodes[2];
static struct ma_guest_node guest_nodes[2];
static struct ma_guest guests[2];
static struct ma_snapshot snapshot;
static struct ma_check_problem problem;

/* A good one, for each test to spoil. */
static void start(void) {
    nodes[0] = (struct ma_node){.id = 0, .total_bytes = 4 * MA_GIB, .available_bytes = MA_GIB};
    nodes[1] = (struct ma_node){.id = 5, .total_bytes = 4 * MA_GIB, .available_bytes = MA_GIB};
    guest_nodes[0] = (struct ma_guest_node){.id = 0, .resident_bytes = MA_MIB};
    guest_nodes[1] = (struct ma_guest_node){.id = 5, .resident_bytes = MA_MIB};
    for (size_t i = 0; i < 2; i++) {
        guests[i] = (struct ma_guest){.uuid = i == 0 ? "a" : "b",
                                      .name = "",
                                      .has = MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_PINNED |
                                             MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL,
                                      .resident_bytes = 2 * MA_MIB,
                                      .max_bytes = MA_GIB,
                                      .nodes = guest_nodes,
                                      .n_nodes = 2};
    }
    snapshot = (struct ma_snapshot){.host = {.total_bytes = 8 * MA_GIB,
                                             .available_bytes = MA_GIB,
                                             .nodes = nodes,
                                             .n_nodes = 2},
                                    .guests = guests,
                                    .n_guests = 2};
    CHECK_I64(ma_snapshot_check(&snapshot, &problem), 0);
}

static void expect(int code, const char *path) {
    CHECK_I64(ma_snapshot_check(&snapshot, &problem), code);
    CHECK_STR(problem.path, path);
    CHECK(problem.what != NULL && problem.what[0] != '\0');
    start();
}

static void the_host_is_checked(void) {
    start();
    snapshot.host.available_bytes = 8 * MA_GIB + 1;
    expect(-EINVAL, "$.host.available_bytes");
    snapshot.host.total_bytes = MA_BYTES_MAX + 1;
    expect(-ERANGE, "$.host.total_bytes");
    snapshot.host.swap_free_bytes = 1;
    expect(-EINVAL, "$.host.swap_free_bytes");
    snapshot.host.slope_bytes_per_s = INT64_MIN;
    expect(-ERANGE, "$.host.slope_bytes_per_s");
    nodes[1].id = 0;
    expect(-EINVAL, "$.host.nodes[1].id");
    nodes[0].id = 7;
    expect(-EINVAL, "$.host.nodes[1].id");
    nodes[1].id = 1024;
    expect(-ERANGE, "$.host.nodes[1].id");
    nodes[0].available_bytes = 5 * MA_GIB;
    expect(-EINVAL, "$.host.nodes[0].available_bytes");
    nodes[1].total_bytes = MA_BYTES_MAX;
    expect(-ERANGE, "$.host.nodes[1].total_bytes");
}

static void each_guest_is_checked(void) {
    char long_uuid[80];
    memset(long_uuid, 'z', sizeof(long_uuid) - 1);
    long_uuid[sizeof(long_uuid) - 1] = '\0';
    start();
    guests[1].pinned_bytes = 2 * MA_MIB + 1;
    expect(-EINVAL, "$.guests[1].pinned_bytes");
    guests[0].actual_bytes = MA_GIB + 1;
    expect(-EINVAL, "$.guests[0].actual_bytes");
    guests[1].stats.claimed_free_bytes = UINT64_MAX;
    expect(-ERANGE, "$.guests[1].stats.free_bytes");
    guests[1].uuid = long_uuid;
    expect(-ERANGE, "$.guests[1].uuid");
    guests[1].uuid = NULL;
    expect(-EINVAL, "$.guests[1].uuid");
    guests[0].name = NULL;
    expect(-EINVAL, "$.guests[0].name");
    guests[0].config = (struct ma_guest_config){.has = MA_CONFIG_HAS_SHARES};
    expect(-ERANGE, "$.guests[0].config.shares");
    guests[0].config = (struct ma_guest_config){.has = MA_CONFIG_HAS_IMPACT, .impact = 1001};
    expect(-ERANGE, "$.guests[0].config.impact");
    guests[0].config = (struct ma_guest_config){.has = MA_CONFIG_HAS_GROUP};
    expect(-EINVAL, "$.guests[0].config.group");
    guest_nodes[1].id = 4;
    expect(-EINVAL, "$.guests[0].nodes[1].id");
    guest_nodes[1].id = 0;
    expect(-EINVAL, "$.guests[0].nodes[1].id");
    guest_nodes[1].pinned_bytes = 2 * MA_MIB;
    expect(-EINVAL, "$.guests[0].nodes[1].pinned_bytes");
    guest_nodes[1].resident_bytes = 2 * MA_GIB;
    expect(-EINVAL, "$.guests[0].nodes");
}

static void all_guests_together_are_checked(void) {
    start();
    guests[1].uuid = "a";
    expect(-EINVAL, "$.guests[1].uuid");
    guests[0].uuid = "c";
    expect(-EINVAL, "$.guests[1].uuid");
    guests[1].max_bytes = MA_BYTES_MAX;
    expect(-ERANGE, "$.guests[1].max_bytes");
    snapshot.n_guests = MA_GUESTS_MAX + 1;
    expect(-ERANGE, "$.guests");
    guests[1].pinned_bytes = MA_GIB;
    CHECK_I64(ma_snapshot_check_guest(&snapshot, 0, &problem), 0);
    CHECK_I64(ma_snapshot_check_guest(&snapshot, 1, &problem), -EINVAL);
}

TAP_MAIN(TAP_CASE(the_host_is_checked),
         TAP_CASE(each_guest_is_checked),
         TAP_CASE(all_guests_together_are_checked));
