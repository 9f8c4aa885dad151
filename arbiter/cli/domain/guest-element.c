/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-element.c - KEY=VALUE into attributes, and the check of what comes out.
 *
 *   I1  nothing leaves here that memarbd would call bad, or that the schema refuses
 *   I2  an attribute or element that we do not know is neither changed nor dropped. The schema refuses it, so a guest that
 *       has one is not changed at all: it may be a misspelt "impact", and then the operator must see it
 *
 * memarbd's own parser looks first: it says what is wrong with a value, where libxml2 says that an element failed. */
#include "guest-element.h"

#include <errno.h>
#include <libxml/relaxng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "metadata.h"
#include "xml-edit.h"

static const struct place {
    const char *key;
    const char *element; /* "": the root */
    const char *attribute;
} places[] = {
    {"impact", "", "impact"},        {"shares", "", "shares"},
    {"restart", "", "restart"},      {"guarantee", "memory", "guarantee"},
    {"limit", "memory", "limit"},    {"pin-limit", "pin", "limit"},
    {"cap-memory", "cap", "memory"}, {"cap-swap", "cap", "swap"},
    {"cap-pids", "cap", "pids"},     {"cap-cpu", "cap", "cpu"},
    {"actions", "actions", "allow"}, {"shutdown-timeout", "actions", "shutdown-timeout"},
    {"group", "group", "name"},
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

static const struct place *find_place(const char *key) {
    for (size_t i = 0; i < N_PLACES; i++) {
        if (strcmp(places[i].key, key) == 0) {
            return &places[i];
        }
    }
    return NULL;
}

int ma_guest_change_parse(char *text, struct ma_guest_change *ret, struct ma_err *err) {
    char keys[256] = "";
    char *equals = strchr(text, '=');
    if (equals != NULL) {
        *equals = '\0';
        if (find_place(text) != NULL) {
            *ret = (struct ma_guest_change){text, equals + 1};
            return 0;
        }
    }
    for (size_t i = 0, len = 0; i < N_PLACES && len < sizeof(keys); i++) {
        int n = snprintf(keys + len, sizeof(keys) - len, "%s%s", i > 0 ? ", " : "", places[i].key);
        len += n > 0 ? (size_t) n : 0;
    }
    return ma_err_set(err, -EINVAL, "%.64s: write KEY=VALUE, or KEY= to take it away; keys: %s",
                      text, keys);
}

/* Whichever of several elements of that name says it. */
static void take_away(xmlNodePtr root, const struct place *place) {
    xmlNodePtr node = place->element[0] == '\0' ? root : ma_xml_child(root, place->element, NULL);
    while (node != NULL) {
        xmlNodePtr next = node == root ? NULL : ma_xml_next(node, place->element, NULL);
        (void) xmlUnsetProp(node, (const xmlChar *) place->attribute); /* may be absent */
        if (node != root && node->properties == NULL && xmlChildElementCount(node) == 0) {
            ma_xml_remove(node);
        }
        node = next;
    }
}

static int put(xmlNodePtr root, const struct place *place, const char *value) {
    xmlNodePtr node = place->element[0] == '\0' ? root : ma_xml_child(root, place->element, NULL);
    if (node == NULL) {
        node = ma_xml_add(root, place->element);
        if (node != NULL) {
            xmlSetNs(node, root->ns);
        }
    }
    if (node == NULL ||
        xmlSetProp(node, (const xmlChar *) place->attribute, (const xmlChar *) value) == NULL) {
        return -ENOMEM;
    }
    return 0;
}

/* In place where it stands already: the order of attributes is its author's. */
static int change(xmlNodePtr root, const struct ma_guest_change *c) {
    const struct place *place = find_place(c->key);
    if (place == NULL) {
        return -EINVAL;
    }
    xmlNodePtr node = place->element[0] == '\0' ? root : ma_xml_child(root, place->element, NULL);
    bool is_single =
        node == NULL || node == root || ma_xml_next(node, place->element, NULL) == NULL;
    if (c->value[0] == '\0' || !is_single) {
        take_away(root, place);
    }
    /* "none" allows nothing; an empty value would take the setting away. */
    bool is_none = strcmp(c->key, "actions") == 0 && strcmp(c->value, "none") == 0;
    return c->value[0] != '\0' ? put(root, place, is_none ? "" : c->value) : 0;
}

static void swallow(void *userdata, xmlErrorPtr error) {
    char *message = userdata;
    if (message[0] == '\0' && error->message != NULL) {
        (void) snprintf(message, MA_SOURCE_PROBLEM_MAX, "%.*s", (int) strcspn(error->message, "\n"),
                        error->message);
    }
}

static void name_space(xmlNodePtr node, xmlNsPtr ns) {
    if (node->type == XML_ELEMENT_NODE && node->ns == NULL) {
        xmlSetNs(node, ns);
    }
    for (xmlNodePtr n = node->children; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && n->ns == NULL) {
            xmlSetNs(n, ns); /* the schema knows no third level */
        }
    }
}

/* libvirt hands the element out without its namespace, and the schema speaks of it with. */
static int validate(xmlDocPtr doc, char problem[MA_SOURCE_PROBLEM_MAX]) {
    xmlNodePtr root = xmlDocGetRootElement(doc);
    int r = -ENOMEM;
    xmlRelaxNGParserCtxtPtr parser =
        xmlRelaxNGNewMemParserCtxt(ma_guest_schema, (int) strlen(ma_guest_schema));
    xmlRelaxNGPtr schema = parser != NULL ? xmlRelaxNGParse(parser) : NULL;
    xmlRelaxNGValidCtxtPtr ctxt = schema != NULL ? xmlRelaxNGNewValidCtxt(schema) : NULL;
    if (ctxt != NULL) {
        name_space(root, xmlNewNs(root, (const xmlChar *) MA_GUEST_URI, NULL));
        xmlRelaxNGSetValidStructuredErrors(ctxt, swallow, problem);
        r = xmlRelaxNGValidateDoc(ctxt, doc) == 0 ? 0 : -EINVAL;
    }
    xmlRelaxNGFreeValidCtxt(ctxt);
    xmlRelaxNGFree(schema);
    xmlRelaxNGFreeParserCtxt(parser);
    return r;
}

int ma_guest_element_check(const char *text, struct ma_err *err) {
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    struct ma_metadata parsed;
    ma_metadata_parse(text, strlen(text), &parsed);
    if (parsed.bad != 0) {
        return ma_err_set(err, -EINVAL, "%s", parsed.problem);
    }
    xmlDocPtr doc = ma_xml_read(text, strlen(text));
    int r = doc != NULL ? validate(doc, problem) : -EINVAL;
    xmlFreeDoc(doc);
    if (r == 0) {
        return 0;
    }
    return ma_err_set(err, r, "the schema does not take it: %s; virsh metadata DOMAIN %s --edit",
                      parsed.problem[0] != '\0' ? parsed.problem : problem, MA_GUEST_URI);
}

char *ma_guest_element_plain(const char *text) {
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlDocPtr doc = ma_xml_read(text, strlen(text));
    char *plain = NULL;
    if (buffer != NULL && doc != NULL) {
        ma_xml_strip_blanks(xmlDocGetRootElement(doc));
        if (xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 1) >= 0) {
            plain = strdup((const char *) xmlBufferContent(buffer));
        }
    }
    xmlFreeDoc(doc);
    xmlBufferFree(buffer);
    return plain;
}

static bool says_nothing(xmlNodePtr root) {
    ma_xml_strip_blanks(root);
    return root->properties == NULL && root->children == NULL;
}

static char *meaning_of(const char *text) {
    xmlDocPtr doc = text != NULL ? ma_xml_read(text, strlen(text)) : NULL;
    bool is_empty = doc != NULL && says_nothing(xmlDocGetRootElement(doc));
    xmlFreeDoc(doc);
    return text == NULL || is_empty ? NULL : ma_guest_element_plain(text);
}

bool ma_guest_element_same(const char *a, const char *b) {
    ma_auto_free char *x = meaning_of(a);
    ma_auto_free char *y = meaning_of(b);
    return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

int ma_guest_element_change(const char *before,
                            const struct ma_guest_change *changes,
                            size_t n_changes,
                            char **ret_after,
                            struct ma_err *err) {
    const char *text = before != NULL ? before : "<guest/>";
    xmlDocPtr doc = ma_xml_read(text, strlen(text));
    if (doc == NULL || strcmp((const char *) xmlDocGetRootElement(doc)->name, "guest") != 0) {
        xmlFreeDoc(doc);
        return ma_err_set(err, -EINVAL,
                          "what stands there is no element guest; virsh metadata DOMAIN %s --edit "
                          "mends it",
                          MA_GUEST_URI);
    }
    xmlNodePtr root = xmlDocGetRootElement(doc);
    ma_auto_free char *after = NULL;
    int r = 0;
    for (size_t i = 0; i < n_changes && r == 0; i++) {
        r = change(root, &changes[i]);
    }
    bool is_left = !says_nothing(root);
    if (r == 0 && is_left) {
        ma_auto_free char *raw = ma_xml_write(doc);
        after = raw != NULL ? ma_guest_element_plain(raw) : NULL;
        r = after != NULL ? ma_guest_element_check(after, err) : -ENOMEM;
    }
    xmlFreeDoc(doc);
    if (r == -ENOMEM) {
        return ma_err_set(err, r, "no memory");
    }
    if (r == 0) {
        *ret_after = ma_steal(&after);
    }
    return r;
}
