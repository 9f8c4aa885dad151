/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-nodes.c - a guest's memory, cut by what it must be made of.
 *
 * A cell (or the whole guest, where it has none) is bound to nodes by <memnode> or else by <numatune><memory>; modes
 * strict and restrictive bind, preferred and interleave only lean. <hugepages><page nodeset=...> speaks of the guest's
 * cells, <memory model='dimm'> brings its own page size and node set. What cannot be read binds to nothing: a binding
 * that is missed lets a guest start which libvirt or the kernel then refuses by themselves; one that is imagined would
 * refuse a guest that fits. */
#include "domain-nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "domain-facts.h"

#define NODESET_MAX 256

/* One number at *at, which moves behind it. */
static int take_number(const char **at, unsigned *ret) {
    unsigned n = 0;
    const char *begin = *at;
    for (; **at >= '0' && **at <= '9' && n < 100000; (*at)++) {
        n = n * 10 + (unsigned) (**at - '0');
    }
    *ret = n;
    return *at == begin || n >= 100000 ? -EINVAL : 0;
}

int lv_nodeset_parse(const char *text, uint64_t *ret_mask) {
    uint64_t mask = 0;
    for (const char *at = text;; at++) {
        bool is_taken_out = *at == '^';
        unsigned first = 0;
        at += is_taken_out ? 1 : 0;
        int r = take_number(&at, &first);
        unsigned last = first;
        if (r == 0 && *at == '-' && !is_taken_out) {
            at++;
            r = take_number(&at, &last);
        }
        if (r < 0 || last < first || (*at != ',' && *at != '\0')) {
            return -EINVAL;
        }
        if (last >= MA_DEMAND_NODES_MAX) {
            return -ERANGE;
        }
        for (unsigned id = first; id <= last; id++) {
            uint64_t bit = UINT64_C(1) << id;
            mask = is_taken_out ? mask & ~bit : mask | bit;
        }
        if (*at == '\0') {
            *ret_mask = mask;
            return 0;
        }
    }
}

static uint64_t mask_of(const xmlNode *node, const char *attribute) {
    char text[NODESET_MAX];
    uint64_t mask = 0;
    lv_attribute(node, attribute, text, sizeof(text));
    return text[0] != '\0' && lv_nodeset_parse(text, &mask) == 0 ? mask : 0;
}

/* The nodes that <memory> or <memnode> binds to; 0: none. */
static uint64_t binding_of(const xmlNode *tune) {
    bool is_leaning =
        lv_has_attribute(tune, "mode", "preferred") || lv_has_attribute(tune, "mode", "interleave");
    return tune == NULL || is_leaning ? 0 : mask_of(tune, "nodeset");
}

static bool has_number(const xmlNode *node, const char *attribute, const char *wanted) {
    char text[NODESET_MAX];
    lv_attribute(node, attribute, text, sizeof(text));
    return text[0] != '\0' && strcmp(text, wanted) == 0;
}

static uint64_t nodes_of_cell(const xmlNode *root, const char *cell) {
    const xmlNode *tune = lv_child(root, "numatune");
    for (const xmlNode *n = tune != NULL ? tune->children : NULL; n != NULL; n = n->next) {
        if (lv_is(n, "memnode") && has_number(n, "cellid", cell)) {
            return binding_of(n);
        }
    }
    return binding_of(lv_child(tune, "memory"));
}

static uint64_t page_of(const xmlNode *page) {
    uint64_t bytes = lv_sized_attribute(page, "size");
    return bytes > 0 ? bytes : MA_DEMAND_PAGE_DEFAULT;
}

/* 0: ordinary memory. 4 KiB pages in <hugepages> are ordinary memory too. */
static uint64_t pages_of_cell(const xmlNode *root, const char *cell) {
    const xmlNode *huge = lv_child(lv_child(root, "memoryBacking"), "hugepages");
    uint64_t mask = 0;
    uint64_t all = huge != NULL && lv_child(huge, "page") == NULL ? MA_DEMAND_PAGE_DEFAULT : 0;
    (void) lv_nodeset_parse(cell, &mask);
    for (const xmlNode *n = huge != NULL ? huge->children : NULL; n != NULL; n = n->next) {
        if (!lv_is(n, "page")) {
            continue;
        }
        if (!xmlHasProp(n, (const xmlChar *) "nodeset")) {
            all = page_of(n);
        } else if ((mask_of(n, "nodeset") & mask) != 0) {
            all = page_of(n);
            break;
        }
    }
    return all == 4 * MA_KIB ? 0 : all;
}

/* The cells' sum. */
static uint64_t add_cells(const xmlNode *root, struct ma_demand *demand) {
    const xmlNode *numa = lv_child(lv_child(root, "cpu"), "numa");
    uint64_t sum = 0;
    unsigned index = 0;
    for (const xmlNode *n = numa != NULL ? numa->children : NULL; n != NULL; n = n->next) {
        char cell[16];
        if (!lv_is(n, "cell")) {
            continue;
        }
        lv_attribute(n, "id", cell, sizeof(cell));
        if (cell[0] == '\0') {
            (void) snprintf(cell, sizeof(cell), "%u", index);
        }
        index++;
        struct ma_demand_part part = {.bytes = lv_sized_attribute(n, "memory"),
                                      .page_bytes = pages_of_cell(root, cell),
                                      .node_mask = nodes_of_cell(root, cell)};
        ma_demand_add(demand, &part);
        sum = ma_add_sat(sum, part.bytes);
    }
    return sum;
}

/* <memory model='dimm'> and 'virtio-mem'; NVDIMMs are files. */
static void add_device(const xmlNode *root, const xmlNode *n, struct ma_demand *demand) {
    const xmlNode *target = lv_child(n, "target");
    const xmlNode *source = lv_child(n, "source");
    bool is_dimm = lv_has_attribute(n, "model", "dimm");
    if (!is_dimm && !lv_has_attribute(n, "model", "virtio-mem")) {
        return;
    }
    char cell[16];
    char nodes[NODESET_MAX];
    lv_text(lv_child(target, "node"), cell, sizeof(cell));
    lv_text(lv_child(source, "nodemask"), nodes, sizeof(nodes));
    struct ma_demand_part part = {.bytes =
                                      lv_sized(lv_child(target, is_dimm ? "size" : "requested")),
                                  .page_bytes = lv_sized(lv_child(source, "pagesize"))};
    if (nodes[0] == '\0' || lv_nodeset_parse(nodes, &part.node_mask) < 0) {
        part.node_mask = nodes_of_cell(root, cell);
    }
    if (lv_child(source, "pagesize") == NULL) {
        part.page_bytes = pages_of_cell(root, cell[0] != '\0' ? cell : "0");
    }
    part.page_bytes = part.page_bytes <= 4 * MA_KIB && part.page_bytes != MA_DEMAND_PAGE_DEFAULT
                          ? 0
                          : part.page_bytes;
    ma_demand_add(demand, &part);
}

void lv_demand_parts(xmlDocPtr doc, uint64_t ram_bytes, struct ma_demand *demand) {
    const xmlNode *root = xmlDocGetRootElement(doc);
    const xmlNode *devices = lv_child(root, "devices");
    uint64_t dimms = 0;
    for (const xmlNode *n = devices != NULL ? devices->children : NULL; n != NULL; n = n->next) {
        if (lv_is(n, "memory")) {
            add_device(root, n, demand);
            bool is_dimm = lv_has_attribute(n, "model", "dimm");
            dimms =
                ma_add_sat(dimms, is_dimm ? lv_sized(lv_child(lv_child(n, "target"), "size")) : 0);
        }
    }
    uint64_t cells = add_cells(root, demand);
    struct ma_demand_part rest = {.bytes = ma_sub_floor0(ram_bytes, ma_add_sat(cells, dimms)),
                                  .page_bytes = pages_of_cell(root, "0"),
                                  .node_mask = nodes_of_cell(root, "0")};
    /* cells that do not add up to the whole are a definition that libvirt rounds: the rest goes with the first cell */
    ma_demand_add(demand, &rest);
}
