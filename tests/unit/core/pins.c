/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pins.c - libvirt's figure for definitions of each kind, and what is found when limits and pins disagree. */

#include "pins.h"

#include "bytes.h"
#include "tap.h"

#define UNLIMITED MA_PINS_UNLIMITED

/* Expected values by hand from libvirt 9.0.0 qemuDomainGetMemLockLimitBytes(); the second is what libvirtd 9.0 really set
 * for a guest of 192 MiB with one hostdev: 1275068416. */
static const struct {
    const char *what;
    struct ma_pin_devices devices;
    uint64_t bytes;
} formula[] = {
    {"no device: left alone", {.is_known = true, .total_bytes = 4 * MA_GIB}, 0},
    {"one device, 192 MiB",
     {.is_known = true, .n_vfio = 1, .total_bytes = 192 * MA_MIB},
     1275068416},
    {"three devices share one container",
     {.is_known = true, .n_vfio = 3, .total_bytes = 4 * MA_GIB},
     5 * MA_GIB},
    {"behind a vIOMMU each counts",
     {.is_known = true, .n_vfio = 3, .has_viommu = true, .total_bytes = 4 * MA_GIB},
     13 * MA_GIB},
    {"a vIOMMU alone pins nothing",
     {.is_known = true, .has_viommu = true, .total_bytes = 4 * MA_GIB},
     0},
    {"vDPA counts each", {.is_known = true, .n_vdpa = 2, .total_bytes = 4 * MA_GIB}, 9 * MA_GIB},
    {"vDPA and VFIO",
     {.is_known = true, .n_vdpa = 2, .n_vfio = 2, .total_bytes = 4 * MA_GIB},
     13 * MA_GIB},
    {"vDPA and VFIO behind a vIOMMU",
     {.is_known = true, .n_vdpa = 1, .n_vfio = 2, .has_viommu = true, .total_bytes = MA_GIB},
     4 * MA_GIB},
    {"hard_limit comes first",
     {.is_known = true,
      .n_vfio = 1,
      .is_locked = true,
      .hard_limit_bytes = 3 * MA_GIB,
      .total_bytes = 4 * MA_GIB},
     3 * MA_GIB},
    {"locked: unlimited", {.is_known = true, .is_locked = true, .total_bytes = MA_GIB}, UNLIMITED},
    {"what may be plugged in does not count",
     {.is_known = true, .n_vfio = 1, .total_bytes = MA_GIB, .max_bytes = 8 * MA_GIB},
     2 * MA_GIB},
    {"nothing known", {.n_vfio = 1, .total_bytes = MA_GIB}, 0},
};

static void libvirts_figure_is_its_formula(void) {
    for (size_t i = 0; i < sizeof(formula) / sizeof(formula[0]); i++) {
        (void) fprintf(stderr, "#   %s\n", formula[i].what);
        CHECK_U64(ma_pins_libvirt_bytes(&formula[i].devices), formula[i].bytes);
    }
}

static struct ma_pin_input guest_with_device(void) {
    return (struct ma_pin_input){
        .devices = {.is_known = true, .is_libvirts = true, .n_vfio = 1, .total_bytes = 4 * MA_GIB},
        .pinned_bytes = 4 * MA_GIB,
        .account_bytes = 4 * MA_GIB,
        .has_rlimit = true,
        .rlimit_bytes = 5 * MA_GIB,
        .host_total_bytes = 64 * MA_GIB,
    };
}

static struct ma_pin_verdict judged(const struct ma_pin_input *in) {
    struct ma_pin_verdict v;
    ma_pins_judge(in, &v);
    return v;
}

/* libvirt 9.0 does not count NVMe disks one by one; QEMU maps all memory for each of them all the same. */
static void the_floor_has_room_for_each_nvme_disk(void) {
    struct ma_pin_input in = guest_with_device();
    in.devices.n_vfio = 3;
    in.devices.n_nvme = 2;
    in.has_limit = true;
    in.limit_bytes = MA_GIB;
    CHECK_U64(judged(&in).libvirt_bytes, 5 * MA_GIB);
    CHECK_U64(judged(&in).floor_bytes, 13 * MA_GIB);
    CHECK_U64(judged(&in).target_bytes, 13 * MA_GIB);
    in.devices.n_vfio = 2; /* nothing but disks */
    CHECK_U64(judged(&in).floor_bytes, 9 * MA_GIB);
    in.devices.has_viommu = true;
    CHECK_U64(judged(&in).floor_bytes, 9 * MA_GIB);
}

static void a_guest_as_libvirt_made_it_has_no_finding(void) {
    struct ma_pin_input in = guest_with_device();
    struct ma_pin_verdict v = judged(&in);
    CHECK_U64(v.flags, 0);
    CHECK_U64(v.libvirt_bytes, 5 * MA_GIB);
    CHECK_U64(v.floor_bytes, 5 * MA_GIB);
    CHECK_U64(v.may_pin_bytes, 4 * MA_GIB);
    CHECK(!v.has_target);
}

static void each_disagreement_is_found(void) {
    struct ma_pin_input in = guest_with_device();
    in.rlimit_bytes = UNLIMITED;
    CHECK_U64(judged(&in).flags, MA_PIN_UNLIMITED | MA_PIN_ABOVE_LIBVIRT);
    in.is_rlimit_ours = true;
    CHECK_U64(judged(&in).flags, MA_PIN_UNLIMITED);
    in = guest_with_device();
    in.rlimit_bytes = 5 * MA_GIB - 1;
    CHECK_U64(judged(&in).flags, MA_PIN_BELOW_LIBVIRT);
    in.rlimit_bytes = 4 * MA_GIB - 1;
    CHECK_U64(judged(&in).flags, MA_PIN_BELOW_LIBVIRT | MA_PIN_OVER_RLIMIT);
    in = guest_with_device();
    in.has_ipc_lock = true;
    CHECK_U64(judged(&in).flags, MA_PIN_LIMIT_VOID);
    in = guest_with_device();
    in.host_total_bytes = 4 * MA_GIB;
    CHECK_U64(judged(&in).flags, MA_PIN_BEYOND_RAM);
    in = guest_with_device();
    in.has_limit = true;
    in.limit_bytes = 3 * MA_GIB;
    CHECK_U64(judged(&in).flags, MA_PIN_OVER_LIMIT | MA_PIN_LIMIT_BELOW_NEED);
    in.limit_bytes = 100 * MA_GIB;
    CHECK_U64(judged(&in).flags, MA_PIN_BEYOND_RAM);
}

static void plain_qemu_has_no_libvirt_to_disagree_with(void) {
    struct ma_pin_input in = guest_with_device();
    in.devices.is_libvirts = false;
    in.rlimit_bytes = 4 * MA_GIB;
    CHECK_U64(judged(&in).flags, 0);
}

static void no_target_is_below_what_a_mapping_may_need(void) {
    struct ma_pin_input in = guest_with_device();
    in.has_limit = true;
    in.limit_bytes = 2 * MA_GIB;
    CHECK_U64(judged(&in).target_bytes, 5 * MA_GIB); /* I1 */
    in.limit_bytes = 6 * MA_GIB;
    CHECK_U64(judged(&in).target_bytes, 6 * MA_GIB);
    in.devices.max_bytes = 16 * MA_GIB;               /* a DIMM may come */
    CHECK_U64(judged(&in).target_bytes, 17 * MA_GIB); /* I2 */
    in = guest_with_device();
    in.has_limit = true;
    in.limit_bytes = MA_GIB;
    in.account_bytes = 8 * MA_GIB;                   /* two containers */
    CHECK_U64(judged(&in).target_bytes, 8 * MA_GIB); /* I3 */
    in.devices.is_known = false;
    CHECK(!judged(&in).has_target); /* nothing known: hands off */
}

static void locked_memory_under_libvirt_has_no_safe_limit(void) {
    struct ma_pin_input in = {
        .devices = {.is_known = true,
                    .is_libvirts = true,
                    .is_locked = true,
                    .total_bytes = MA_GIB},
        .has_limit = true,
        .limit_bytes = 8 * MA_GIB,
        .host_total_bytes = 16 * MA_GIB,
    };
    struct ma_pin_verdict v = judged(&in);
    CHECK(!v.has_target);
    CHECK_U64(v.floor_bytes, UNLIMITED);
    CHECK_U64(v.flags, MA_PIN_LIMIT_BELOW_NEED);
    in.devices.hard_limit_bytes = 3 * MA_GIB; /* the operator bounds it: libvirt's own word */
    CHECK_U64(judged(&in).target_bytes, 8 * MA_GIB);
}

/* I4: the room for QEMU's own growth is given once; else the limit would follow a bomb up. */
static void locked_plain_qemu_is_bounded_once(void) {
    struct ma_pin_input in = {
        .devices = {.is_known = true, .is_locked = true, .total_bytes = MA_GIB},
        .account_bytes = MA_GIB + 300 * MA_MIB,
        .has_limit = true,
        .limit_bytes = MA_GIB,
        .host_total_bytes = 16 * MA_GIB,
    };
    uint64_t first = judged(&in).target_bytes;
    CHECK_U64(first, 2 * MA_GIB + 300 * MA_MIB);
    in.is_rlimit_ours = true;
    in.account_bytes = first - MA_MIB;
    CHECK(judged(&in).target_bytes <= first);
}

static void node_shares_add_up_to_no_more(void) {
    CHECK_U64(ma_pins_on_node(300, 50, 200), 50);
    CHECK_U64(ma_pins_on_node(100, 50, 200), 25);
    CHECK_U64(ma_pins_on_node(100, 0, 0), 0);
}

static void every_finding_has_a_name(void) {
    for (unsigned i = 0; i < MA_PIN_FLAG_COUNT; i++) {
        CHECK(ma_pin_flag_name(i)[0] != '\0' && ma_pin_flag_name(i)[0] != '?');
    }
    CHECK_STR(ma_pin_flag_name(MA_PIN_FLAG_COUNT), "?");
}

TAP_MAIN(TAP_CASE(libvirts_figure_is_its_formula),
         TAP_CASE(the_floor_has_room_for_each_nvme_disk),
         TAP_CASE(a_guest_as_libvirt_made_it_has_no_finding),
         TAP_CASE(each_disagreement_is_found),
         TAP_CASE(plain_qemu_has_no_libvirt_to_disagree_with),
         TAP_CASE(no_target_is_below_what_a_mapping_may_need),
         TAP_CASE(locked_memory_under_libvirt_has_no_safe_limit),
         TAP_CASE(locked_plain_qemu_is_bounded_once),
         TAP_CASE(node_shares_add_up_to_no_more),
         TAP_CASE(every_finding_has_a_name));
