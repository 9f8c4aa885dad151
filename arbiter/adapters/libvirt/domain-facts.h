/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* domain-facts.h - what a live domain definition says, in bytes. Pure: a parsed document in, facts out. */

#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest-source.h"

#define LV_TITLE_MAX 256

struct lv_facts {
    char title[LV_TITLE_MAX]; /* cut */
    char name[MA_SOURCE_NAME_MAX];
    uint32_t vcpus;
    uint64_t max_bytes; /* of RAM, DIMMs included: without virtio-mem, files and enclave memory */
    bool has_balloon;
    unsigned balloon_period_s; /* 0: its statistics are off */
    uint32_t inhibited_by;
    enum ma_placement placement;
    struct ma_pin_devices pins;
    char agent_path[MA_SOURCE_PATH_MAX]; /* of the guest agent's channel; "": none */
    struct ma_virtio_mem virtio_mem;     /* sums over its devices; the largest block */
};

/* NULL: not well-formed, or with a document type. Freed with xmlFreeDoc(). */
xmlDocPtr lv_domain_parse(const char *xml);
void lv_facts_read(xmlDocPtr doc, struct lv_facts *ret);

/* The next virtio-mem <memory> after `previous` (NULL: the first), or NULL. */
xmlNodePtr lv_virtio_mem_next(xmlDocPtr doc, xmlNodePtr previous);
/* Child element of that name, or NULL. */
xmlNodePtr lv_child(const xmlNode *node, const char *name);
/* Text of an element, or an attribute of it, with a unit attribute in bytes; 0: absent or makes no sense. */
uint64_t lv_sized(const xmlNode *node);
uint64_t lv_sized_attribute(const xmlNode *node, const char *name);
/* An element of that name without namespace? */
bool lv_is(const xmlNode *node, const char *name);
/* Copies what fits, in whole characters; "" if absent. */
void lv_text(const xmlNode *node, char *buf, size_t size);
void lv_attribute(const xmlNode *node, const char *name, char *buf, size_t size);
bool lv_has_attribute(const xmlNode *node, const char *name, const char *value);
