/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* resize.c - the requested size of a guest's virtio-mem devices.
 *
 * Devices are filled in the order of the definition and emptied in the reverse one, so that a guest with one device,
 * which is nearly every guest, is set to what was asked, and one with several moves only the last possible. */

#include "resize.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "domain-facts.h"

static int update_device(virDomainPtr dom, xmlDocPtr doc, xmlNodePtr device, uint64_t bytes) {
    char kib[32];
    xmlNodePtr requested = lv_child(lv_child(device, "target"), "requested");
    if (requested == NULL) {
        return -EOPNOTSUPP;
    }
    (void) snprintf(kib, sizeof(kib), "%llu", (unsigned long long) (bytes / MA_KIB));
    xmlNodeSetContent(requested, (const xmlChar *) kib);
    (void) xmlSetProp(requested, (const xmlChar *) "unit", (const xmlChar *) "KiB");
    xmlBufferPtr buffer = xmlBufferCreate();
    int r = -ENOMEM;
    if (buffer != NULL && xmlNodeDump(buffer, doc, device, 0, 0) > 0) {
        r = virDomainUpdateDeviceFlags(dom, (const char *) xmlBufferContent(buffer),
                                       VIR_DOMAIN_AFFECT_LIVE) < 0
                ? -EIO
                : 0;
    }
    xmlBufferFree(buffer);
    return r;
}

/* Whole blocks: shrinking takes no more than asked, growing gives no more. */
static uint64_t whole_blocks(uint64_t bytes, uint64_t block, bool is_shrink) {
    if (block == 0) {
        return bytes;
    }
    return is_shrink ? ma_round_up(bytes, block) : ma_round_down(bytes, block);
}

static int resize_document(virDomainPtr dom, xmlDocPtr doc, uint64_t to_bytes) {
    struct lv_facts facts;
    lv_facts_read(doc, &facts);
    if ((facts.virtio_mem.has & MA_VIRTIO_MEM_HAS_MAX) == 0) {
        return -EOPNOTSUPP;
    }
    bool is_shrink = to_bytes < facts.virtio_mem.requested_bytes;
    uint64_t left = to_bytes;
    for (xmlNodePtr n = lv_virtio_mem_next(doc, NULL); n != NULL; n = lv_virtio_mem_next(doc, n)) {
        const xmlNode *target = lv_child(n, "target");
        uint64_t size = lv_sized(lv_child(target, "size"));
        uint64_t block = lv_sized(lv_child(target, "block"));
        uint64_t share = ma_min_u64(size, whole_blocks(left, block, is_shrink));
        left = ma_sub_floor0(left, share);
        if (share == lv_sized(lv_child(target, "requested"))) {
            continue;
        }
        int r = update_device(dom, doc, n, share);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int lv_resize(virDomainPtr dom, uint64_t to_bytes) {
    char *xml = virDomainGetXMLDesc(dom, 0);
    if (xml == NULL) {
        return -EIO;
    }
    xmlDocPtr doc = lv_domain_parse(xml);
    free(xml);
    int r = doc != NULL ? resize_document(dom, doc, to_bytes) : -EOPNOTSUPP;
    xmlFreeDoc(doc);
    return r;
}
