/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-facts.c - reads a live definition as libvirt 9.0 prints it (formatdomain).
 *
 * Anything that keeps QEMU from giving ballooned pages back is looked for here, as QEMU 7.2 decides it
 * (hw/virtio/virtio-balloon.c, hw/vfio/common.c): each VFIO user, vDPA, encrypted memory; and what QEMU does not see
 * but the kernel does: locked and huge pages. When in doubt an inhibitor is set: a balloon that is left out costs
 * a rung, one that is counted on and gives nothing costs a guest. */

#include "domain-facts.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

/* A large honest definition (hundreds of devices) has some 200 KiB; libvirt's own limit is 4 MiB. */
#define DEFINITION_MAX_BYTES ((size_t) 4 * 1024 * 1024)

static void refuse_dtd(void *userdata, const xmlChar *name, const xmlChar *id, const xmlChar *uri) {
    (void) name;
    (void) id;
    (void) uri;
    xmlStopParser(userdata);
}

xmlDocPtr lv_domain_parse(const char *xml) {
    size_t size = strnlen(xml, DEFINITION_MAX_BYTES + 1);
    xmlParserCtxtPtr ctxt = size <= DEFINITION_MAX_BYTES ? xmlNewParserCtxt() : NULL;
    if (ctxt == NULL) {
        return NULL;
    }
    ctxt->sax->internalSubset = refuse_dtd;
    ctxt->sax->externalSubset = refuse_dtd;
    xmlDocPtr doc = xmlCtxtReadMemory(ctxt, xml, (int) size, NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                          XML_PARSE_NOBLANKS);
    bool is_stopped = ctxt->errNo == XML_ERR_USER_STOP;
    xmlFreeParserCtxt(ctxt);
    if (is_stopped || xmlDocGetRootElement(doc) == NULL) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

bool lv_is(const xmlNode *node, const char *name) {
    return node->type == XML_ELEMENT_NODE && node->ns == NULL &&
           strcmp((const char *) node->name, name) == 0;
}

xmlNodePtr lv_child(const xmlNode *node, const char *name) {
    for (xmlNodePtr n = node != NULL ? node->children : NULL; n != NULL; n = n->next) {
        if (lv_is(n, name)) {
            return n;
        }
    }
    return NULL;
}

/* What fits of a text in UTF-8, in whole characters: half of one is a name that no reader takes. */
static void copy_text(const xmlChar *text, char *buf, size_t size) {
    size_t n = strlen((const char *) text);
    for (n = n < size ? n : size - 1; n > 0 && (text[n] & 0xC0U) == 0x80U;) {
        n--;
    }
    memcpy(buf, text, n);
    buf[n] = '\0';
}

/* Copies what fits; "" if absent. */
void lv_text(const xmlNode *node, char *buf, size_t size) {
    buf[0] = '\0';
    xmlChar *text = node != NULL ? xmlNodeGetContent(node) : NULL;
    if (text != NULL) {
        copy_text(text, buf, size);
    }
    xmlFree(text);
}

void lv_attribute(const xmlNode *node, const char *name, char *buf, size_t size) {
    buf[0] = '\0';
    xmlChar *text = node != NULL ? xmlGetNoNsProp(node, (const xmlChar *) name) : NULL;
    if (text != NULL) {
        copy_text(text, buf, size);
    }
    xmlFree(text);
}

bool lv_has_attribute(const xmlNode *node, const char *name, const char *value) {
    char buf[64];
    lv_attribute(node, name, buf, sizeof(buf));
    return strcmp(buf, value) == 0;
}

static uint64_t unit_bytes(const char *unit) {
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", MA_KIB},  {"KiB", MA_KIB}, {"k", MA_KIB}, {"MiB", MA_MIB},
                 {"M", MA_MIB}, {"GiB", MA_GIB}, {"G", MA_GIB}, {"TiB", MA_TIB},
                 {"T", MA_TIB}, {"b", 1},        {"bytes", 1}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].bytes;
        }
    }
    return 0;
}

static uint64_t sized_text(const xmlNode *node, const char *text) {
    char unit[16];
    uint64_t n;
    lv_attribute(node, "unit", unit, sizeof(unit));
    if (ma_parse_u64(text, MA_BYTES_MAX, &n) < 0) {
        return 0;
    }
    uint64_t bytes = ma_mul_sat(n, unit_bytes(unit));
    return bytes <= MA_BYTES_MAX ? bytes : 0;
}

uint64_t lv_sized(const xmlNode *node) {
    char text[32];
    lv_text(node, text, sizeof(text));
    return sized_text(node, text);
}

uint64_t lv_sized_attribute(const xmlNode *node, const char *name) {
    char text[32];
    lv_attribute(node, name, text, sizeof(text));
    return sized_text(node, text);
}

static uint32_t number_of(const xmlNode *node, const char *attribute) {
    char text[32];
    uint64_t n;
    if (attribute != NULL) {
        lv_attribute(node, attribute, text, sizeof(text));
    } else {
        lv_text(node, text, sizeof(text));
    }
    return ma_parse_u64(text, UINT32_MAX, &n) == 0 ? (uint32_t) n : 0;
}

xmlNodePtr lv_virtio_mem_next(xmlDocPtr doc, xmlNodePtr previous) {
    xmlNodePtr n = previous != NULL ? previous->next : NULL;
    if (previous == NULL) {
        xmlNodePtr devices = lv_child(xmlDocGetRootElement(doc), "devices");
        n = devices != NULL ? devices->children : NULL;
    }
    for (; n != NULL; n = n->next) {
        if (lv_is(n, "memory") && lv_has_attribute(n, "model", "virtio-mem")) {
            return n;
        }
    }
    return NULL;
}

static void read_virtio_mem(xmlDocPtr doc, struct ma_virtio_mem *v) {
    for (xmlNodePtr n = lv_virtio_mem_next(doc, NULL); n != NULL; n = lv_virtio_mem_next(doc, n)) {
        const xmlNode *target = lv_child(n, "target");
        v->max_bytes = ma_add_sat(v->max_bytes, lv_sized(lv_child(target, "size")));
        v->requested_bytes =
            ma_add_sat(v->requested_bytes, lv_sized(lv_child(target, "requested")));
        v->plugged_bytes = ma_add_sat(v->plugged_bytes, lv_sized(lv_child(target, "current")));
        v->block_bytes = ma_max_u64(v->block_bytes, lv_sized(lv_child(target, "block")));
        v->has = MA_VIRTIO_MEM_HAS_MAX | MA_VIRTIO_MEM_HAS_REQUESTED | MA_VIRTIO_MEM_HAS_PLUGGED;
    }
    if (v->block_bytes > 0) {
        v->has |= MA_VIRTIO_MEM_HAS_BLOCK;
    }
}

/* Memory devices that libvirt counts into <memory> and the host does not back with RAM of its own: files, and the
 * processor's enclave memory. QEMU's balloon does not know of them either. */
static uint64_t foreign_memory_bytes(const xmlNode *devices) {
    uint64_t sum = 0;
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        if (lv_is(n, "memory") && (lv_has_attribute(n, "model", "nvdimm") ||
                                   lv_has_attribute(n, "model", "virtio-pmem") ||
                                   lv_has_attribute(n, "model", "sgx-epc"))) {
            sum = ma_add_sat(sum, lv_sized(lv_child(lv_child(n, "target"), "size")));
        }
    }
    return sum;
}

/* One device of <devices>. */
static uint32_t inhibitors_of_device(const xmlNode *n) {
    if (lv_is(n, "hostdev")) {
        bool is_vfio = lv_has_attribute(n, "type", "pci") || lv_has_attribute(n, "type", "mdev");
        return is_vfio ? MA_INHIBITOR_VFIO : 0U;
    }
    if (lv_is(n, "interface")) {
        if (lv_has_attribute(n, "type", "hostdev")) {
            return MA_INHIBITOR_VFIO;
        }
        return lv_has_attribute(n, "type", "vdpa") ? MA_INHIBITOR_VDPA : 0U;
    }
    if (lv_is(n, "disk")) {
        if (lv_has_attribute(n, "type", "nvme")) {
            return MA_INHIBITOR_VFIO; /* QEMU drives it through VFIO itself */
        }
        return lv_has_attribute(n, "type", "vhostvdpa") ? MA_INHIBITOR_VDPA : 0U;
    }
    if (lv_is(n, "memory")) {
        uint64_t page = lv_sized(lv_child(lv_child(n, "source"), "pagesize"));
        return page > 4 * MA_KIB ? MA_INHIBITOR_HUGEPAGES : 0U;
    }
    return 0;
}

static uint32_t read_inhibitors(const xmlNode *root, const xmlNode *devices) {
    uint32_t bits = 0;
    const xmlNode *backing = lv_child(root, "memoryBacking");
    bits |= lv_child(backing, "locked") != NULL ? MA_INHIBITOR_LOCKED : 0U;
    bits |= lv_child(backing, "hugepages") != NULL ? MA_INHIBITOR_HUGEPAGES : 0U;
    bits |= lv_child(root, "launchSecurity") != NULL ? MA_INHIBITOR_CONFIDENTIAL : 0U;
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        bits |= inhibitors_of_device(n);
    }
    return bits;
}

/* As libvirt counts them (qemuDomainGetNumVFIODevices(), qemuDomainGetNumVDPANetDevices() of 9.0). */
static void count_device(const xmlNode *n, struct ma_pin_devices *pins) {
    if (lv_is(n, "hostdev")) {
        pins->n_vfio += lv_has_attribute(n, "type", "pci") || lv_has_attribute(n, "type", "mdev");
    } else if (lv_is(n, "interface")) {
        pins->n_vfio += lv_has_attribute(n, "type", "hostdev");
        pins->n_vdpa += lv_has_attribute(n, "type", "vdpa");
    } else if (lv_is(n, "disk")) {
        pins->n_vfio += lv_has_attribute(n, "type", "nvme");
        pins->n_nvme += lv_has_attribute(n, "type", "nvme");
    }
}

static void read_pins(const xmlNode *root, const xmlNode *devices, struct ma_pin_devices *pins) {
    pins->is_known = true;
    pins->is_libvirts = true;
    pins->is_locked = lv_child(lv_child(root, "memoryBacking"), "locked") != NULL;
    pins->has_viommu = lv_child(devices, "iommu") != NULL;
    pins->hard_limit_bytes = lv_sized(lv_child(lv_child(root, "memtune"), "hard_limit"));
    pins->total_bytes = lv_sized(lv_child(root, "memory"));
    pins->max_bytes = lv_sized(lv_child(root, "maxMemory"));
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        count_device(n, pins);
    }
}

static enum ma_placement placement_of(const xmlNode *node) {
    char mode[16];
    lv_attribute(node, "mode", mode, sizeof(mode));
    if (strcmp(mode, "preferred") == 0) {
        return MA_PLACEMENT_PREFERRED;
    }
    if (strcmp(mode, "interleave") == 0) {
        return MA_PLACEMENT_INTERLEAVE;
    }
    /* "restrictive" confines by cgroup instead of by policy: the pages are bound as well. No mode means strict. */
    return MA_PLACEMENT_STRICT;
}

/* One word for the guest: strict if any of its cells is. */
static enum ma_placement read_placement(const xmlNode *root) {
    const xmlNode *tune = lv_child(root, "numatune");
    const xmlNode *memory = lv_child(tune, "memory");
    enum ma_placement placement = MA_PLACEMENT_DEFAULT;
    if (memory != NULL) {
        placement = placement_of(memory);
    }
    for (const xmlNode *n = tune != NULL ? tune->children : NULL; n != NULL; n = n->next) {
        if (lv_is(n, "memnode") && placement != MA_PLACEMENT_STRICT) {
            placement = placement_of(n);
        }
    }
    return placement;
}

static void read_balloon(const xmlNode *devices, struct lv_facts *f) {
    const xmlNode *balloon = lv_child(devices, "memballoon");
    f->has_balloon = balloon != NULL && !lv_has_attribute(balloon, "model", "none");
    f->balloon_period_s = number_of(lv_child(balloon, "stats"), "period");
}

/* The channel that docs/protocol.md names, where QEMU listens. */
#define AGENT_CHANNEL "org.memarb.guest.0"

static void read_agent(const xmlNode *devices, struct lv_facts *f) {
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        const xmlNode *source = lv_child(n, "source");
        char path[MA_SOURCE_PATH_MAX + 1];
        if (!lv_is(n, "channel") || !lv_has_attribute(n, "type", "unix") ||
            !lv_has_attribute(lv_child(n, "target"), "name", AGENT_CHANNEL) ||
            !lv_has_attribute(source, "mode", "bind")) {
            continue;
        }
        lv_attribute(source, "path", path, sizeof(path));
        if (path[0] == '/' && strlen(path) < sizeof(f->agent_path)) {
            memcpy(f->agent_path, path, strlen(path) + 1);
        }
    }
}

void lv_facts_read(xmlDocPtr doc, struct lv_facts *ret) {
    const xmlNode *root = xmlDocGetRootElement(doc);
    const xmlNode *devices = lv_child(root, "devices");
    const xmlNode *vcpu = lv_child(root, "vcpu");
    *ret = (struct lv_facts){0};
    lv_text(lv_child(root, "title"), ret->title, sizeof(ret->title));
    lv_text(lv_child(root, "name"), ret->name, sizeof(ret->name));
    ret->vcpus = number_of(vcpu, "current");
    if (ret->vcpus == 0) {
        ret->vcpus = number_of(vcpu, NULL);
    }
    read_virtio_mem(doc, &ret->virtio_mem);
    ret->max_bytes =
        ma_sub_floor0(lv_sized(lv_child(root, "memory")),
                      ma_add_sat(ret->virtio_mem.max_bytes, foreign_memory_bytes(devices)));
    read_balloon(devices, ret);
    read_agent(devices, ret);
    ret->inhibited_by = read_inhibitors(root, devices);
    ret->placement = read_placement(root);
    read_pins(root, devices, &ret->pins);
}
