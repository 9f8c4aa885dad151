/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* demand.c - what is read out of the definition that a hook is given. */

#include "domain-demand.h"

#include <errno.h>

#include "bytes.h"
#include "domain-nodes.h"
#include "guest-source.h"
#include "tap.h"

#define UUID "<uuid>11111111-2222-3333-4444-555555555555</uuid>"

static char problem[MA_SOURCE_PROBLEM_MAX];

static int read_text(const char *xml, const struct ma_guest_rules *rules, struct ma_demand *ret) {
    return lv_demand_read(xml, strlen(xml), rules, ret, problem);
}

/* 4 GiB with a balloon, and what else is said. */
static struct ma_demand demand_of(const char *top, const char *devices) {
    char xml[4096];
    struct ma_demand d;
    (void) snprintf(xml, sizeof(xml),
                    "<domain type='kvm'><name>db</name><uuid>11111111-2222-3333-4444-555555555555"
                    "</uuid><memory unit='GiB'>4</memory><currentMemory unit='GiB'>3"
                    "</currentMemory>%s<devices><memballoon model='virtio'/>%s</devices></domain>",
                    top, devices);
    CHECK_I64(read_text(xml, NULL, &d), 0);
    return d;
}

static void a_plain_guest(void) {
    struct ma_demand d = demand_of("", "");
    CHECK_STR(d.uuid, "11111111-2222-3333-4444-555555555555");
    CHECK_STR(d.name, "db");
    CHECK(d.is_movable && !d.has_guarantee && !d.has_pin_limit);
    CHECK_U64(d.current_bytes, 3 * MA_GIB);
    CHECK_U64(d.n_parts, 1);
    CHECK_U64(d.parts[0].bytes, 4 * MA_GIB);
    CHECK_U64(d.parts[0].node_mask | d.parts[0].page_bytes, 0);
    CHECK_U64(d.pinned_bytes | d.memlock_bytes | d.pin_account_bytes, 0);
    CHECK_STR(problem, "");
}

#define VFIO   "<hostdev mode='subsystem' type='pci' managed='yes'/>"
#define IOMMU  "<iommu model='intel'/>"
#define LOCKED "<memoryBacking><locked/></memoryBacking>"

static const struct {
    const char *top, *devices;
    uint64_t pinned_gib, account_gib, memlock_gib; /* UINT64_MAX: unlimited */
} pins[] = {
    {"", VFIO, 4, 4, 5},
    {"", VFIO VFIO, 4, 4, 5},
    {"", VFIO IOMMU, 4, 4, 5},
    {"", VFIO VFIO IOMMU, 4, 8, 9},
    {"", "<interface type='hostdev'/>" IOMMU VFIO, 4, 8, 9},
    {"", "<interface type='vdpa'/>", 4, 4, 5},
    {"", "<disk type='nvme' device='disk'/>" VFIO, 4, 8, 9},
    {"", "<hostdev type='mdev' model='vfio-pci'/>", 4, 4, 5},
    {"", "<hostdev type='usb'/>" IOMMU, 0, 0, 0},
    {LOCKED, "", 4, 4, UINT64_MAX},
    {LOCKED, VFIO, 4, 8, UINT64_MAX},
    {LOCKED "<memtune><hard_limit unit='GiB'>7</hard_limit></memtune>", VFIO, 4, 8, 7},
    {"<launchSecurity type='sev'/>", "", 4, 0, 0},
};

static void pins_by_kind_of_device(void) {
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        struct ma_demand d = demand_of(pins[i].top, pins[i].devices);
        (void) fprintf(stderr, "#   %s %s\n", pins[i].top, pins[i].devices);
        CHECK_U64(d.pinned_bytes, pins[i].pinned_gib * MA_GIB);
        CHECK_U64(d.pin_account_bytes, pins[i].account_gib * MA_GIB);
        CHECK_U64(d.memlock_bytes,
                  pins[i].memlock_gib == UINT64_MAX ? UINT64_MAX : pins[i].memlock_gib * MA_GIB);
        CHECK(d.is_movable == (pins[i].pinned_gib == 0));
    }
}

static void bound_to_nodes(void) {
    struct ma_demand d =
        demand_of("<numatune><memory mode='strict' nodeset='0-2,^1'/></numatune>", "");
    CHECK_U64(d.parts[0].node_mask, 5);
    d = demand_of("<numatune><memory mode='restrictive' nodeset='1'/></numatune>", "");
    CHECK_U64(d.parts[0].node_mask, 2);
    d = demand_of("<numatune><memory mode='preferred' nodeset='1'/></numatune>", "");
    CHECK_U64(d.parts[0].node_mask, 0);
    d = demand_of("<numatune><memory mode='interleave' nodeset='0-1'/></numatune>", "");
    CHECK_U64(d.parts[0].node_mask, 0);
    d = demand_of("<numatune><memory mode='strict' placement='auto'/></numatune>", "");
    CHECK_U64(d.parts[0].node_mask, 0);
}

#define CELLS                                                                                      \
    "<cpu><numa><cell id='0' cpus='0' memory='3' unit='GiB'/><cell id='1' cpus='1' "               \
    "memory='1048576' unit='KiB'/></numa></cpu>"

static const struct ma_demand_part *part_on(const struct ma_demand *d, uint64_t mask) {
    for (uint32_t i = 0; i < d->n_parts; i++) {
        if (d->parts[i].node_mask == mask) {
            return &d->parts[i];
        }
    }
    TAP_FAIL("no part on %" PRIx64, mask);
}

static void cells_have_nodes_and_pages_of_their_own(void) {
    struct ma_demand d = demand_of(
        CELLS "<numatune><memory mode='preferred' nodeset='0'/><memnode cellid='1' mode='strict' "
              "nodeset='3'/></numatune><memoryBacking><hugepages><page size='2' unit='MiB'/>"
              "<page size='1' unit='GiB' nodeset='1'/></hugepages></memoryBacking>",
        "");
    CHECK_U64(d.n_parts, 2);
    CHECK_U64(part_on(&d, 0)->bytes, 3 * MA_GIB);
    CHECK_U64(part_on(&d, 0)->page_bytes, 2 * MA_MIB);
    CHECK_U64(part_on(&d, 8)->bytes, MA_GIB);
    CHECK_U64(part_on(&d, 8)->page_bytes, MA_GIB);
    CHECK(d.is_movable);
    CHECK_U64(d.pinned_bytes, 0); /* of ordinary memory */
    d = demand_of("<memoryBacking><hugepages/></memoryBacking>", "");
    CHECK_U64(d.parts[0].page_bytes, MA_DEMAND_PAGE_DEFAULT);
    d = demand_of(
        "<memoryBacking><hugepages><page size='4' unit='KiB'/></hugepages></memoryBacking>", "");
    CHECK_U64(d.parts[0].page_bytes, 0);
}

static void dimms_and_virtio_mem(void) {
    struct ma_demand d =
        demand_of("<numatune><memory mode='strict' nodeset='0'/></numatune>",
                  "<memory model='dimm'><source><nodemask>1</nodemask><pagesize "
                  "unit='KiB'>2048</pagesize></source>"
                  "<target><size unit='GiB'>1</size><node>0</node></target></memory>"
                  "<memory model='virtio-mem'><target><size unit='GiB'>1</size><node>0</node>"
                  "<requested unit='MiB'>256</requested></target></memory>"
                  "<memory model='nvdimm'><target><size unit='MiB'>512</size></target></memory>");
    CHECK_U64(part_on(&d, 2)->bytes, MA_GIB);
    CHECK_U64(part_on(&d, 2)->page_bytes, 2 * MA_MIB);
    /* 4 GiB in all, of which 1 GiB is the DIMM, 512 MiB a file, and 1 GiB the most of virtio-mem, of which 256 MiB are
     * asked for */
    CHECK_U64(part_on(&d, 1)->bytes, (1536 + 256) * MA_MIB);
    CHECK_U64(d.n_parts, 2);
}

static void the_operators_word(void) {
    const struct ma_guest_rule rules[] = {
        {.match = MA_RULE_XPATH,
         .pattern = "metadata/nova:instance/nova:flavor[@name='gold']",
         .config = {.has = MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_PIN_LIMIT,
                    .guarantee_bytes = MA_GIB,
                    .pin_limit_bytes = 2 * MA_GIB}},
    };
    const struct ma_guest_rules all = {.rules = rules, .n_rules = 1};
    static const char head[] =
        "<domain xmlns:m='urn:memarb:guest:1'><name>a</name>" UUID "<memory "
        "unit='GiB'>4</memory><metadata>"
        "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:flavor "
        "name='gold'/></n:instance>";
    char xml[2048];
    struct ma_demand d;
    (void) snprintf(xml, sizeof(xml), "%s</metadata></domain>", head);
    CHECK_I64(read_text(xml, &all, &d), 0);
    CHECK(d.has_guarantee && d.has_pin_limit);
    CHECK_U64(d.guarantee_bytes, MA_GIB);
    CHECK(!d.is_movable); /* no balloon */
    (void) snprintf(xml, sizeof(xml),
                    "%s<m:guest><m:memory guarantee='3GiB'/></m:guest></metadata></domain>", head);
    CHECK_I64(read_text(xml, &all, &d), 0);
    CHECK_U64(d.guarantee_bytes, 3 * MA_GIB); /* its own metadata outranks the rule */
    CHECK_U64(d.pin_limit_bytes, 2 * MA_GIB);
    (void) snprintf(xml, sizeof(xml),
                    "%s<m:guest><m:memory guarantee='much'/></m:guest></metadata></domain>", head);
    CHECK_I64(read_text(xml, &all, &d), 0);
    CHECK_U64(d.guarantee_bytes, MA_GIB);
    CHECK(problem[0] != '\0'); /* told */
}

/* libvirt's <memory> counts them; they are files, or not of the host's RAM at all. */
static void files_and_enclaves_need_no_room(void) {
    static const char *const models[] = {"nvdimm", "virtio-pmem", "sgx-epc"};
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        char device[256];
        (void) snprintf(device, sizeof(device),
                        "<memory model='%s'><target><size unit='GiB'>3</size></target></memory>",
                        models[i]);
        struct ma_demand d = demand_of("", device);
        CHECK_U64(d.n_parts, 1);
        CHECK_U64(d.parts[0].bytes, MA_GIB);
    }
}

/* A name that is cut must not be cut in the middle of a character: no reader of UTF-8 would take it. */
static void long_names_stay_text(void) {
    static const char euro[] = "\xe2\x82\xac";
    for (int ascii = 0; ascii < 4; ascii++) {
        char name[400];
        char xml[1024];
        struct ma_demand d;
        int n = snprintf(name, sizeof(name), "%.*s", ascii, "xxx");
        for (int i = 0; i < 100; i++) {
            n += snprintf(name + n, sizeof(name) - (size_t) n, "%s", euro);
        }
        (void) snprintf(xml, sizeof(xml),
                        "<domain><name>%s</name>" UUID "<memory>1</memory></domain>", name);
        CHECK_I64(read_text(xml, NULL, &d), 0);
        int whole = (MA_DEMAND_NAME_MAX - 1 - ascii) / 3;
        name[ascii + 3 * whole] = '\0';
        CHECK_STR(d.name, name);
    }
}

/* As libvirt reads them; memarbd knows its guests by the one form that libvirt writes. */
static void uuids_have_one_form(void) {
    static const struct {
        const char *text;
        int result;
    } uuids[] = {
        {"abcdef00-1111-2222-3333-444444444444", 0},
        {"ABCDEF00-1111-2222-3333-444444444444", 0},
        {"ABCDEF00111122223333444444444444", 0},
        {" abcdef00-1111-2222-3333-444444444444\n", 0},
        {"abcdef00-1111-2222-3333-44444444444", -EINVAL},
        {"abcdef00-1111-2222-3333-4444444444444", -EINVAL},
        {"abcdef00-1111-2222-3333-44444444444g", -EINVAL},
        {"x", -EINVAL},
    };
    for (size_t i = 0; i < sizeof(uuids) / sizeof(uuids[0]); i++) {
        char xml[512];
        struct ma_demand d;
        (void) fprintf(stderr, "#   '%s'\n", uuids[i].text);
        (void) snprintf(xml, sizeof(xml),
                        "<domain><name>x</name><uuid>%s</uuid><memory>1</memory></domain>",
                        uuids[i].text);
        CHECK_I64(read_text(xml, NULL, &d), uuids[i].result);
        if (uuids[i].result == 0) {
            CHECK_STR(d.uuid, uuids[0].text);
        }
    }
}

static void garbage_is_named(void) {
    static const char *const bad[] = {
        "",
        "<domain",
        "<network><name>x</name></network>",
        "<domain><name>x</name><memory>1</memory></domain>",
        "<domain><uuid>x</uuid><memory>1</memory></domain>",
        "<domain><name>x</name>" UUID "</domain>",
        "<domain><name>x</name>" UUID "<memory "
        "unit='TiB'>18446744073709551615</memory></domain>",
        "<domain><name>x</name><name>y</name>" UUID "<memory>1</memory></domain>",
        "<domain><name>x</name>" UUID UUID "<memory>1</memory></domain>",
        "<domain><name>x</name>" UUID "<memory>1</memory><memory>2</memory></domain>",
        "<!DOCTYPE d [<!ENTITY e "
        "'x'>]><domain><name>&e;</name>" UUID "<memory>1</memory></domain>",
    };
    struct ma_demand d;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(read_text(bad[i], NULL, &d), -EINVAL);
        CHECK(problem[0] != '\0');
    }
    CHECK_I64(lv_demand_read("<domain/>", 20, NULL, &d, problem), -EINVAL); /* a NUL in it */
}

static const struct {
    const char *text;
    int result;
    uint64_t mask;
} nodesets[] = {
    {"0", 0, 1},
    {"0-3", 0, 15},
    {"0,2,4", 0, 21},
    {"0-3,^2", 0, 11},
    {"62", 0, UINT64_C(1) << 62},
    {"63", -ERANGE, 0},
    {"0-63", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"a", -EINVAL, 0},
    {"3-1", -EINVAL, 0},
    {"1,", -EINVAL, 0},
    {"1 2", -EINVAL, 0},
    {"^", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"99999999999999999999", -EINVAL, 0},
};

static void node_sets(void) {
    for (size_t i = 0; i < sizeof(nodesets) / sizeof(nodesets[0]); i++) {
        uint64_t mask = 0;
        (void) fprintf(stderr, "#   '%s'\n", nodesets[i].text);
        CHECK_I64(lv_nodeset_parse(nodesets[i].text, &mask), nodesets[i].result);
        CHECK_U64(mask, nodesets[i].mask);
    }
}

TAP_MAIN(TAP_CASE(a_plain_guest),
         TAP_CASE(pins_by_kind_of_device),
         TAP_CASE(bound_to_nodes),
         TAP_CASE(cells_have_nodes_and_pages_of_their_own),
         TAP_CASE(dimms_and_virtio_mem),
         TAP_CASE(the_operators_word),
         TAP_CASE(files_and_enclaves_need_no_room),
         TAP_CASE(long_names_stay_text),
         TAP_CASE(uuids_have_one_form),
         TAP_CASE(garbage_is_named),
         TAP_CASE(node_sets));
