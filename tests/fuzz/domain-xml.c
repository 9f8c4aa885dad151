/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-xml.c - any bytes as a domain's definition and as a guest's element: enable and disable leave what they did not add,
 * set lets nothing out that memarbd would call bad. */
#include <stdlib.h>
#include <string.h>

#include "domain-enable.h"
#include "guest-element.h"
#include "metadata.h"
#include "xml-edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

static void enable_and_disable(const char *text, size_t size) {
    struct ma_err err = {0};
    uint32_t added = 0, undone = 0, left = 0;
    xmlDocPtr doc = ma_xml_read(text, size);
    if (doc == NULL) {
        return;
    }
    uint32_t noted = ma_enable_noted(doc);
    if (ma_enable_add(doc, "/run/memarb/qmp.sock", &added, &err) == 0) {
        uint32_t again = 0;
        demand(ma_enable_add(doc, "/run/memarb/qmp.sock", &again, &err) == 0);
        demand(again == 0);
        int r = ma_enable_undo(doc, &undone, &left, &err);
        demand(r == 0 || added == 0);
        demand((undone & left) == 0);
        /* A note that was there before may name parts that were not added now. */
        demand(noted != 0 || r != 0 || (undone | left) == added);
    }
    xmlFreeDoc(doc);
}

static void set_values(const char *text) {
    static const struct ma_guest_change changes[] = {
        {"impact", "300"}, {"guarantee", "2GiB"}, {"group", ""}, {"actions", "balloon kill"}};
    struct ma_err err = {0};
    struct ma_metadata parsed;
    char *after = NULL;
    if (ma_guest_element_change(text, changes, 4, &after, &err) == 0) {
        demand(after != NULL);
        ma_metadata_parse(after, strlen(after), &parsed);
        demand(parsed.bad == 0);
        demand(parsed.said.config.impact == 300);
        demand(ma_guest_element_same(after, after));
    }
    free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    enable_and_disable(text, size);
    set_values(text);
    free(text);
    return 0;
}
