/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "bytes.h"
#include "process.h"
#include "snapshot.h"
#include "tap.h"
#include "unmovable.h"

#define ARGS_MAX 8
static struct ma_process_identity identity_of(const char *const args[ARGS_MAX]) {
    struct ma_process_identity id = {0};
    CHECK_I64(ma_process_argument_parse(&id, "/usr/bin/qemu-system-x86_64"), 0);
    for (size_t i = 0; i < ARGS_MAX && args[i] != NULL; i++) {
        CHECK_I64(ma_process_argument_parse(&id, args[i]), 0);
    }
    return id;
}
#define ID(...) identity_of((const char *const[ARGS_MAX]){__VA_ARGS__})

static void name_and_uuid_in_both_forms(void) {
    struct ma_process_identity id = ID("-name", "guest=web,,1,debug-threads=on", "-uuid",
                                       "6C0E8F1A-0000-4000-8000-0123456789AB");
    CHECK_STR(id.exe, "qemu-system-x86_64");
    CHECK_STR(id.name, "web,1");
    CHECK_STR(id.uuid, "6c0e8f1a-0000-4000-8000-0123456789ab");
    CHECK_STR(ID("--name", "plain").name, "plain");
    CHECK_STR(ID("-name", "debug-threads=on,guest=late").name, "late");
    CHECK_STR(ID("-name", "x,process=y").name, "x");
}

static void wrong_uuids_are_not_taken(void) {
    static const char *const bad[] = {"",
                                      "6c0e8f1a",
                                      "6c0e8f1a-0000-4000-8000-0123456789ag",
                                      "6c0e8f1a000004000-8000-0123456789ab-",
                                      "6c0e8f1a-0000-4000-8000-0123456789abc",
                                      "../../../../../../../../../etc/passw"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_STR(ID("-uuid", bad[i]).uuid, "");
    }
    CHECK_STR(ID("-uuid").uuid, "");
    CHECK_STR(ID("-name", "-uuid", "6c0e8f1a-0000-4000-8000-0123456789ab").uuid,
              ""); /* a guest named so */
}

static void what_inhibits_a_balloon(void) {
    static const struct {
        const char *option, *value;
        uint32_t bits;
    } rows[] = {
        {"-overcommit", "mem-lock=on", MA_INHIBITOR_LOCKED},
        {"-overcommit", "cpu-pm=on,mem-lock=on", MA_INHIBITOR_LOCKED},
        {"-overcommit", "mem-lock=off", 0},
        {"-realtime", "mlock=on", MA_INHIBITOR_LOCKED},
        {"-mem-path", "/dev/hugepages/libvirt/qemu/1-web", MA_INHIBITOR_HUGEPAGES},
        {"-mem-path", "/dev/shm/x", 0},
        {"-object", "memory-backend-file,id=m,mem-path=/dev/hugepages1G,size=1G",
         MA_INHIBITOR_HUGEPAGES},
        {"-object", "memory-backend-memfd,id=m,hugetlb=on,size=1G", MA_INHIBITOR_HUGEPAGES},
        {"-object", "memory-backend-memfd,id=m,share=on,size=1G", 0},
        {"-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram\",\"hugetlb\":true,\"size\":1}",
         MA_INHIBITOR_HUGEPAGES},
        {"-object", "{\"qom-type\":\"memory-backend-file\",\"mem-path\":\"/dev/hugepages/q\"}",
         MA_INHIBITOR_HUGEPAGES},
        {"-object", "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":1}", 0},
        {"-object", "sev-guest,id=sev0", MA_INHIBITOR_CONFIDENTIAL},
        {"-device", "vfio-pci,host=0000:01:00.0", MA_INHIBITOR_VFIO},
        {"-device", "{\"driver\":\"vfio-pci\",\"host\":\"0000:01:00.0\"}", MA_INHIBITOR_VFIO},
        {"-device", "id=x,driver=vfio-pci,host=1", MA_INHIBITOR_VFIO},
        {"-device", "vfio-ap,sysfsdev=/sys/x", 0},
        {"-device", "virtio-net-pci,id=vfio-pci", 0},
        {"-netdev", "vhost-vdpa,vhostdev=/dev/vhost-vdpa-0,id=n", MA_INHIBITOR_VDPA},
        {"-netdev", "{\"type\":\"vhost-vdpa\",\"id\":\"n\"}", MA_INHIBITOR_VDPA},
        {"-blockdev", "{\"driver\":\"nvme\",\"device\":\"0000:02:00.0\"}", MA_INHIBITOR_VFIO},
        {"-blockdev", "{\"driver\":\"file\",\"filename\":\"/nvme\"}", 0},
        {"-device", "", 0},
        {"-device", "{", 0},
        {"-device", "{\"driver\":", 0},
        {"-append", "vfio-pci", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_process_identity id = ID(rows[i].option, rows[i].value);
        CHECK_U64(id.inhibited_by, rows[i].bits);
        CHECK(id.is_mem_locked == (rows[i].bits == MA_INHIBITOR_LOCKED));
    }
}

static void unmovable_follows_the_rule(void) {
    const uint64_t G = MA_GIB;
    static const struct ma_unmovable_input none = {0};
    struct ma_unmovable_input in = {.resident_bytes = 4 * G, .ram_bytes = 4 * G};
    CHECK_U64(ma_unmovable_bytes(&none), 0);
    CHECK_U64(ma_unmovable_bytes(&in), 0);
    in.is_mem_locked = true; /* VmLck counts the address space: RSS is what is there */
    in.locked_bytes = 7 * G;
    in.resident_bytes = 3 * G;
    CHECK_U64(ma_unmovable_bytes(&in), 3 * G);
    in = (struct ma_unmovable_input){
        .resident_bytes = 9 * G, .ram_bytes = 4 * G, .locked_bytes = 8 * G};
    CHECK_U64(ma_unmovable_bytes(&in), 5 * G); /* two devices behind a vIOMMU: RAM + slack */
    in.virtio_mem_plugged_bytes = 2 * G;
    CHECK_U64(ma_unmovable_bytes(&in), 7 * G);
    in.pinned_bytes = 8 * G; /* iommufd counts in both: never the sum */
    in.ram_bytes = 0;        /* unknown: bounded by what is resident */
    CHECK_U64(ma_unmovable_bytes(&in), 8 * G);
    in.resident_bytes = 1 * G;
    in.hugepage_bytes = 4 * G;
    CHECK_U64(ma_unmovable_bytes(&in), 5 * G);
    in.pinned_bytes = in.ram_bytes = in.virtio_mem_plugged_bytes = UINT64_MAX;
    CHECK_U64(ma_unmovable_bytes(&in), 5 * G);
}

static void own_process_is_no_qemu(void) {
    struct ma_err err;
    struct ma_process p;
    struct ma_process_identity id;
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    CHECK_I64(ma_process_read_identity(&p, &id, &err), 0);
    CHECK(!id.is_qemu && id.is_exe_seen);
    CHECK_STR(id.uuid, "");
    ma_process_close(&p);
}

static void what_a_limit_of_pins_depends_on(void) {
    CHECK(ID("-device", "intel-iommu,intremap=on").has_viommu);
    CHECK(ID("-device", "{\"driver\":\"virtio-iommu-pci\",\"id\":\"iommu0\"}").has_viommu);
    CHECK(!ID("-device", "vfio-pci,host=01:00.0").has_viommu);
    CHECK(!ID("-name", "intel-iommu").has_viommu);
    CHECK_U64(ID("-m", "size=1G,slots=2,maxmem=4G").max_memory_bytes, 4 * MA_GIB);
    CHECK_U64(ID("-m", "512,maxmem=2048m").max_memory_bytes, 2 * MA_GIB);
    CHECK_U64(ID("-m", "512,maxmem=1073741824").max_memory_bytes, MA_GIB);
    CHECK_U64(ID("-m", "512").max_memory_bytes, 0);
    CHECK_U64(ID("-m", "1G,maxmem=99999999T").max_memory_bytes, 0);
    CHECK_U64(ID("-m", "1G,maxmem=").max_memory_bytes, 0);
}

TAP_MAIN(TAP_CASE(name_and_uuid_in_both_forms),
         TAP_CASE(what_a_limit_of_pins_depends_on),
         TAP_CASE(wrong_uuids_are_not_taken),
         TAP_CASE(what_inhibits_a_balloon),
         TAP_CASE(unmovable_follows_the_rule),
         TAP_CASE(own_process_is_no_qemu));
