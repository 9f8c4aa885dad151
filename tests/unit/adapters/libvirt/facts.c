/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* facts.c - what is read out of a live definition. */

#include "domain-facts.h"

#include "bytes.h"
#include "tap.h"

static struct lv_facts facts_of(const char *body) {
    char xml[4096];
    struct lv_facts f;
    (void) snprintf(xml, sizeof(xml), "<domain type='kvm'>%s</domain>", body);
    xmlDocPtr doc = lv_domain_parse(xml);
    CHECK(doc != NULL);
    lv_facts_read(doc, &f);
    xmlFreeDoc(doc);
    return f;
}

static const struct {
    const char *body;
    uint32_t bits;
} inhibitors[] = {
    {"<devices/>", 0},
    {"<devices><hostdev mode='subsystem' type='pci' managed='yes'/></devices>", MA_INHIBITOR_VFIO},
    {"<devices><hostdev mode='subsystem' type='mdev' model='vfio-pci'/></devices>",
     MA_INHIBITOR_VFIO},
    {"<devices><hostdev mode='subsystem' type='usb'/></devices>", 0},
    {"<devices><interface type='hostdev'/></devices>", MA_INHIBITOR_VFIO},
    {"<devices><interface type='bridge'/></devices>", 0},
    {"<devices><interface type='vdpa'/></devices>", MA_INHIBITOR_VDPA},
    {"<devices><disk type='nvme' device='disk'/></devices>", MA_INHIBITOR_VFIO},
    {"<devices><disk type='file' device='disk'/></devices>", 0},
    {"<memoryBacking><locked/></memoryBacking>", MA_INHIBITOR_LOCKED},
    {"<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>",
     MA_INHIBITOR_HUGEPAGES},
    {"<memoryBacking><source type='memfd'/></memoryBacking>", 0},
    {"<devices><memory model='dimm'><source><pagesize unit='KiB'>2048</pagesize></source></memory>"
     "</devices>",
     MA_INHIBITOR_HUGEPAGES},
    {"<launchSecurity type='sev'/>", MA_INHIBITOR_CONFIDENTIAL},
    {"<x:memoryBacking xmlns:x='urn:x'><locked/></x:memoryBacking>", 0},
    {"<metadata><hostdev type='pci'/></metadata>", 0},
};

static void sees_what_inhibits(void) {
    for (size_t i = 0; i < sizeof(inhibitors) / sizeof(inhibitors[0]); i++) {
        (void) fprintf(stderr, "#   %s\n", inhibitors[i].body);
        CHECK_U64(facts_of(inhibitors[i].body).inhibited_by, inhibitors[i].bits);
    }
}

static void sizes_leave_virtio_mem_out(void) {
    struct lv_facts f = facts_of(
        "<memory unit='KiB'>1048576</memory><vcpu current='2'>4</vcpu><title>db</title><devices>"
        "<memory model='virtio-mem'><target><size unit='KiB'>262144</size>"
        "<block unit='KiB'>2048</block><requested unit='KiB'>65536</requested>"
        "<current unit='KiB'>32768</current></target></memory>"
        "<memory model='virtio-mem'><target><size unit='KiB'>262144</size>"
        "<block unit='KiB'>2048</block><requested unit='KiB'>0</requested>"
        "<current unit='KiB'>0</current></target></memory>"
        "<memballoon model='virtio'><stats period='5'/></memballoon></devices>");
    CHECK_U64(f.max_bytes, 512 * MA_MIB);
    CHECK_U64(f.virtio_mem.max_bytes, 512 * MA_MIB);
    CHECK_U64(f.virtio_mem.requested_bytes, 64 * MA_MIB);
    CHECK_U64(f.virtio_mem.plugged_bytes, 32 * MA_MIB);
    CHECK_U64(f.virtio_mem.block_bytes, 2 * MA_MIB);
    CHECK_U64(f.vcpus, 2);
    CHECK_U64(f.balloon_period_s, 5);
    CHECK(f.has_balloon);
    CHECK_STR(f.title, "db");
}

static void nonsense_is_unknown(void) {
    struct lv_facts f = facts_of("<memory unit='furlong'>12</memory><vcpu>many</vcpu>");
    CHECK_U64(f.max_bytes, 0);
    CHECK_U64(f.vcpus, 0);
    CHECK(!f.has_balloon);
    f = facts_of("<memory unit='TiB'>18446744073709551615</memory>");
    CHECK_U64(f.max_bytes, 0);
    f = facts_of("<memory unit='KiB'>-1</memory><devices><memballoon model='none'/></devices>");
    CHECK_U64(f.max_bytes, 0);
    CHECK(!f.has_balloon);
    CHECK(lv_domain_parse("<domain><name>") == NULL);
    CHECK(lv_domain_parse("<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>") == NULL);
    CHECK(lv_domain_parse("") == NULL);
}

static void tells_placement(void) {
    CHECK_U64(facts_of("").placement, MA_PLACEMENT_DEFAULT);
    CHECK_U64(facts_of("<numatune><memory mode='strict' nodeset='0'/></numatune>").placement,
              MA_PLACEMENT_STRICT);
    CHECK_U64(facts_of("<numatune><memory mode='preferred' nodeset='0'/></numatune>").placement,
              MA_PLACEMENT_PREFERRED);
    CHECK_U64(facts_of("<numatune><memory mode='interleave' nodeset='0-1'/></numatune>").placement,
              MA_PLACEMENT_INTERLEAVE);
    CHECK_U64(facts_of("<numatune><memory nodeset='0'/></numatune>").placement,
              MA_PLACEMENT_STRICT);
    CHECK_U64(facts_of("<numatune><memory mode='preferred' nodeset='0'/>"
                       "<memnode cellid='1' mode='strict' nodeset='1'/></numatune>")
                  .placement,
              MA_PLACEMENT_STRICT);
}

static void counts_what_libvirt_counts_for_memlock(void) {
    struct ma_pin_devices pins =
        facts_of("<memory unit='KiB'>4194304</memory><maxMemory slots='4' unit='GiB'>16</maxMemory>"
                 "<memtune><hard_limit unit='KiB'>3145728</hard_limit></memtune>"
                 "<memoryBacking><locked/></memoryBacking><devices><iommu model='intel'/>"
                 "<hostdev mode='subsystem' type='pci'/><hostdev mode='subsystem' type='mdev'/>"
                 "<hostdev mode='subsystem' type='usb'/><interface type='hostdev'/>"
                 "<interface type='vdpa'/><interface type='bridge'/><disk type='nvme'/></devices>")
            .pins;
    CHECK(pins.is_known && pins.is_libvirts && pins.is_locked && pins.has_viommu);
    CHECK_U64(pins.n_vfio, 4);
    CHECK_U64(pins.n_nvme, 1);
    CHECK_U64(pins.n_vdpa, 1);
    CHECK_U64(pins.total_bytes, 4 * MA_GIB);
    CHECK_U64(pins.max_bytes, 16 * MA_GIB);
    CHECK_U64(pins.hard_limit_bytes, 3 * MA_GIB);
    pins = facts_of("<devices/>").pins;
    CHECK(pins.is_known && !pins.is_locked && !pins.has_viommu);
    CHECK_U64(pins.n_vfio + pins.n_vdpa + pins.hard_limit_bytes + pins.max_bytes, 0);
}

TAP_MAIN(TAP_CASE(sees_what_inhibits),
         TAP_CASE(counts_what_libvirt_counts_for_memlock),
         TAP_CASE(sizes_leave_virtio_mem_out),
         TAP_CASE(nonsense_is_unknown),
         TAP_CASE(tells_placement));
