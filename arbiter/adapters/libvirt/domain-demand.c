/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-demand.c - what a definition asks of the host.
 *
 * Pins follow what QEMU 7.2 and libvirt 9.0 do, by kind of device:
 *   <locked/>            all of the guest's memory, at once, by mlock
 *   VFIO (pci, mdev of vfio-pci, NVMe disks), vDPA: all of the guest's memory, at once; behind a vIOMMU as the guest maps it,
 *                        up to all of it
 *   encrypted memory     all of it
 * and are counted against RLIMIT_MEMLOCK once per container: behind a vIOMMU once for each VFIO device, and once for each
 * vDPA and NVMe device (qemuDomainGetMemLockLimitBytes()). libvirt sets hard_limit where there is one, no limit with
 * <locked/>, else that sum and 1 GiB. */
#include "domain-demand.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "domain-facts.h"
#include "domain-nodes.h"
#include "metadata.h"

#define METADATA_NAMESPACE "urn:memarb:guest:1"
/* What libvirt adds for MMIO. */
#define MEMLOCK_SLACK_BYTES MA_GIB

/* Devices that map the guest's memory for themselves. */
struct pinners {
    unsigned n_vfio;
    unsigned n_nvme;
    unsigned n_vdpa;
    bool has_viommu;
};

static void count_device(const xmlNode *n, struct pinners *p) {
    if (lv_is(n, "hostdev")) {
        bool is_mdev_pci =
            lv_has_attribute(n, "type", "mdev") && lv_has_attribute(n, "model", "vfio-pci");
        p->n_vfio += lv_has_attribute(n, "type", "pci") || is_mdev_pci ? 1 : 0;
    } else if (lv_is(n, "interface")) {
        p->n_vfio += lv_has_attribute(n, "type", "hostdev") ? 1 : 0;
        p->n_vdpa += lv_has_attribute(n, "type", "vdpa") ? 1 : 0;
    } else if (lv_is(n, "disk")) {
        p->n_nvme += lv_has_attribute(n, "type", "nvme") ? 1 : 0;
        p->n_vdpa += lv_has_attribute(n, "type", "vhostvdpa") ? 1 : 0;
    } else if (lv_is(n, "iommu")) {
        p->has_viommu = true;
    }
}

static void read_pins(const xmlNode *root, uint32_t inhibited_by, struct ma_demand *demand) {
    const xmlNode *devices = lv_child(root, "devices");
    struct pinners p = {0};
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        count_device(n, &p);
    }
    const uint32_t pinning =
        MA_INHIBITOR_VFIO | MA_INHIBITOR_VDPA | MA_INHIBITOR_LOCKED | MA_INHIBITOR_CONFIDENTIAL;
    unsigned vfio = p.has_viommu || p.n_vfio == 0 ? p.n_vfio : 1U;
    unsigned factor = vfio + p.n_nvme + p.n_vdpa;
    bool is_locked = (inhibited_by & MA_INHIBITOR_LOCKED) != 0;
    uint64_t all = 0;
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        all = ma_add_sat(all, demand->parts[i].bytes);
    }
    demand->pin_kinds = inhibited_by & pinning;
    demand->pinned_bytes = demand->pin_kinds != 0 ? ma_demand_ordinary_bytes(demand) : 0;
    demand->pin_account_bytes =
        ma_min_u64(ma_add_sat(ma_mul_sat(all, factor), is_locked ? all : 0), MA_BYTES_MAX);
    uint64_t hard = lv_sized(lv_child(lv_child(root, "memtune"), "hard_limit"));
    if (hard > 0) {
        demand->memlock_bytes = hard;
    } else if (is_locked) {
        demand->memlock_bytes = UINT64_MAX;
    } else if (factor > 0) {
        demand->memlock_bytes = ma_add_sat(ma_mul_sat(all, factor), MEMLOCK_SLACK_BYTES);
    }
}

/* The element of ours as a text of its own, with the namespace that it may owe to one above. */
static void parse_metadata(const xmlNode *root, struct ma_metadata *ret, bool *ret_is_there) {
    const xmlNode *metadata = lv_child(root, "metadata");
    for (xmlNodePtr n = metadata != NULL ? metadata->children : NULL; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE || n->ns == NULL || n->ns->href == NULL ||
            strcmp((const char *) n->ns->href, METADATA_NAMESPACE) != 0) {
            continue;
        }
        xmlDocPtr alone = xmlNewDoc((const xmlChar *) "1.0");
        xmlNodePtr copy = alone != NULL ? xmlDocCopyNode(n, alone, 1) : NULL;
        xmlChar *text = NULL;
        int size = 0;
        if (copy != NULL) {
            (void) xmlDocSetRootElement(alone, copy);
            xmlDocDumpMemory(alone, &text, &size);
        }
        if (text != NULL && size > 0) {
            ma_metadata_parse((const char *) text, (size_t) size, ret);
            *ret_is_there = true;
        }
        xmlFree(text);
        xmlFreeDoc(alone);
        return;
    }
}

static void read_settings(xmlDocPtr doc,
                          const struct ma_guest_rules *rules,
                          const struct lv_facts *facts,
                          struct ma_demand *demand,
                          char *problem) {
    struct ma_said said = {0};
    struct ma_said good;
    struct ma_metadata metadata = {0};
    bool has_metadata = false;
    struct ma_rule_subject subject = {
        .uuid = demand->uuid, .name = demand->name, .title = facts->title, .domain_xml_doc = doc};
    if (rules != NULL) {
        ma_rules_merge(rules, &subject, &said, problem);
    }
    parse_metadata(xmlDocGetRootElement(doc), &metadata, &has_metadata);
    if (has_metadata) {
        ma_metadata_merge(&metadata, NULL, &said, &good);
        if (metadata.problem[0] != '\0') {
            (void) snprintf(problem, MA_SOURCE_PROBLEM_MAX, "%s", metadata.problem);
        }
    }
    demand->has_guarantee = (said.config.has & MA_CONFIG_HAS_GUARANTEE) != 0;
    demand->guarantee_bytes = said.config.guarantee_bytes;
    demand->has_pin_limit = (said.config.has & MA_CONFIG_HAS_PIN_LIMIT) != 0;
    demand->pin_limit_bytes = said.config.pin_limit_bytes;
}

/* As libvirt writes it: 32 hexadecimal digits, lower-case, in groups; "" if it is none. Dashes and blanks are left out first,
 * as libvirt does. */
static void read_uuid(const xmlNode *node, char ret[static MA_UUID_MAX]) {
    char text[64];
    char digits[33] = "";
    size_t n = 0;
    lv_text(node, text, sizeof(text));
    ret[0] = '\0';
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '-' || isspace((unsigned char) *at)) {
            continue;
        }
        if (n == 32 || !isxdigit((unsigned char) *at)) {
            return;
        }
        digits[n++] = (char) tolower((unsigned char) *at);
    }
    if (n == 32) {
        (void) snprintf(ret, MA_UUID_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8,
                        digits + 12, digits + 16, digits + 20);
    }
}

static int missing(char *problem, const char *what) {
    (void) snprintf(problem, MA_SOURCE_PROBLEM_MAX, "%s", what);
    return -EINVAL;
}

/* libvirt takes the first and never writes two: whoever did means one of them, and nobody knows which. */
static bool is_said_twice(const xmlNode *root, const char *name) {
    size_t n = 0;
    for (const xmlNode *at = root->children; at != NULL; at = at->next) {
        n += lv_is(at, name) ? 1 : 0;
    }
    return n > 1;
}

static int read_document(xmlDocPtr doc,
                         const struct ma_guest_rules *rules,
                         struct ma_demand *ret,
                         char *problem) {
    const xmlNode *root = xmlDocGetRootElement(doc);
    struct lv_facts facts;
    if (!lv_is(root, "domain")) {
        return missing(problem, "it is no definition of a domain");
    }
    if (is_said_twice(root, "name") || is_said_twice(root, "uuid") ||
        is_said_twice(root, "memory")) {
        return missing(problem, "it says its name, uuid or memory twice");
    }
    lv_facts_read(doc, &facts);
    read_uuid(lv_child(root, "uuid"), ret->uuid);
    lv_text(lv_child(root, "name"), ret->name, sizeof(ret->name));
    if (ret->uuid[0] == '\0' || ret->name[0] == '\0') {
        return missing(problem, "it has no uuid that is one, or no name");
    }
    lv_demand_parts(doc, facts.max_bytes, ret);
    if (ret->n_parts == 0) {
        return missing(problem, "it names no amount of memory that makes sense");
    }
    ret->current_bytes = lv_sized(lv_child(root, "currentMemory"));
    const uint32_t lasting = ~(uint32_t) (MA_INHIBITOR_STARTING | MA_INHIBITOR_HUGEPAGES);
    ret->is_movable = facts.has_balloon && (facts.inhibited_by & lasting) == 0;
    read_pins(root, facts.inhibited_by, ret);
    read_settings(doc, rules, &facts, ret, problem);
    return 0;
}

int lv_demand_read(const char *xml,
                   size_t len,
                   const struct ma_guest_rules *rules,
                   struct ma_demand *ret,
                   char *problem) {
    *ret = (struct ma_demand){0};
    problem[0] = '\0';
    if (len > LV_DEFINITION_MAX_BYTES || strlen(xml) != len) {
        return missing(problem, len > LV_DEFINITION_MAX_BYTES ? "it is larger than 4 MiB"
                                                              : "it holds a NUL byte");
    }
    xmlDocPtr doc = lv_domain_parse(xml);
    if (doc == NULL) {
        return missing(problem, "it is not well-formed XML, or has a document type");
    }
    int r = read_document(doc, rules, ret, problem);
    xmlFreeDoc(doc);
    return r;
}
