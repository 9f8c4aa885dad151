/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xml-edit.c - see xml-edit.h. Blank text nodes are kept and counted: they are the lines and indentation. */
#include "xml-edit.h"

#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than any definition nests; a longer indentation is cut. */
#define INDENT_MAX  60
#define INDENT_STEP 2

static void refuse_dtd(void *userdata, const xmlChar *name, const xmlChar *id, const xmlChar *uri) {
    (void) name;
    (void) id;
    (void) uri;
    xmlStopParser(userdata);
}

xmlDocPtr ma_xml_read(const char *text, size_t size) {
    xmlParserCtxtPtr ctxt = size > 0 && size <= INT_MAX ? xmlNewParserCtxt() : NULL;
    if (ctxt == NULL) {
        return NULL;
    }
    ctxt->sax->internalSubset = refuse_dtd;
    ctxt->sax->externalSubset = refuse_dtd;
    xmlDocPtr doc = xmlCtxtReadMemory(ctxt, text, (int) size, NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlFreeParserCtxt(ctxt);
    if (doc != NULL && xmlDocGetRootElement(doc) == NULL) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

char *ma_xml_write(xmlDocPtr doc) {
    xmlBufferPtr buffer = xmlBufferCreate();
    char *text = NULL;
    if (buffer != NULL && xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 0) >= 0) {
        text = strdup((const char *) xmlBufferContent(buffer));
    }
    xmlBufferFree(buffer);
    return text;
}

bool ma_xml_is(const xmlNode *node, const char *name, const char *uri) {
    if (node->type != XML_ELEMENT_NODE || strcmp((const char *) node->name, name) != 0) {
        return false;
    }
    return uri == NULL || (node->ns != NULL && strcmp((const char *) node->ns->href, uri) == 0);
}

static xmlNodePtr first_of(xmlNodePtr node, const char *name, const char *uri) {
    while (node != NULL && !ma_xml_is(node, name, uri)) {
        node = node->next;
    }
    return node;
}

xmlNodePtr ma_xml_child(const xmlNode *parent, const char *name, const char *uri) {
    return parent != NULL ? first_of(parent->children, name, uri) : NULL;
}

xmlNodePtr ma_xml_next(const xmlNode *node, const char *name, const char *uri) {
    return first_of(node->next, name, uri);
}

const char *ma_xml_get(const xmlNode *node, const char *name) {
    const xmlAttr *attr =
        node != NULL ? xmlHasNsProp((xmlNodePtr) node, (const xmlChar *) name, NULL) : NULL;
    if (attr == NULL || attr->children == NULL || attr->children->content == NULL) {
        return "";
    }
    return (const char *) attr->children->content;
}

static bool is_blank(const xmlNode *node) {
    return node != NULL && node->type == XML_TEXT_NODE && xmlIsBlankNode(node) == 1;
}

/* Columns before the element, from the blanks in front of it; -1: it begins no line. */
static int indent_of(const xmlNode *node) {
    if (!is_blank(node->prev)) {
        return -1;
    }
    const char *line = strrchr((const char *) node->prev->content, '\n');
    return line != NULL ? (int) strlen(line + 1) : -1;
}

static int indent_in(const xmlNode *parent) {
    int own = indent_of(parent);
    for (const xmlNode *n = parent->children; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && indent_of(n) >= 0) {
            return indent_of(n);
        }
    }
    return (own >= 0 ? own : 0) + INDENT_STEP;
}

static xmlNodePtr new_line(int indent) {
    char text[INDENT_MAX + 2];
    (void) snprintf(text, sizeof(text), "\n%*s", indent < INDENT_MAX ? indent : INDENT_MAX, "");
    return xmlNewText((const xmlChar *) text);
}

void ma_xml_insert(xmlNodePtr parent, xmlNodePtr child, xmlNodePtr after) {
    xmlNodePtr line = new_line(indent_in(parent));
    if (after == NULL) {
        after = is_blank(parent->last) ? parent->last->prev : parent->last;
    }
    /* xmlAddNextSibling() would merge two texts that meet; an element between keeps them apart. */
    if (after != NULL) {
        (void) xmlAddNextSibling(after, child);
    } else if (parent->children != NULL) {
        (void) xmlAddPrevSibling(parent->children, child);
    } else {
        int own = indent_of(parent);
        (void) xmlAddChild(parent, child);
        xmlNodePtr end = new_line(own >= 0 ? own : 0);
        if (end != NULL) {
            (void) xmlAddNextSibling(child, end);
        }
    }
    if (line != NULL) {
        (void) xmlAddPrevSibling(child, line);
    }
}

xmlNodePtr ma_xml_add(xmlNodePtr parent, const char *name) {
    xmlNodePtr child = xmlNewDocNode(parent->doc, NULL, (const xmlChar *) name, NULL);
    if (child != NULL) {
        ma_xml_insert(parent, child, NULL);
    }
    return child;
}

static void drop(xmlNodePtr node) {
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

void ma_xml_remove(xmlNodePtr node) {
    xmlNodePtr parent = node->parent;
    if (is_blank(node->prev)) {
        drop(node->prev);
    }
    drop(node);
    if (is_blank(parent->children) && parent->children->next == NULL) {
        drop(parent->children);
    }
}

static xmlNodePtr strip_children(xmlNodePtr node) {
    xmlNodePtr first_element = NULL;
    for (xmlNodePtr n = node->children, next; n != NULL; n = next) {
        next = n->next;
        if (is_blank(n)) {
            drop(n);
        } else if (n->type == XML_ELEMENT_NODE && first_element == NULL) {
            first_element = n;
        }
    }
    return first_element;
}

void ma_xml_strip_blanks(xmlNodePtr node) {
    /* Two levels are all that the element has; deeper ones keep what they have. */
    for (xmlNodePtr n = strip_children(node); n != NULL; n = n->next) {
        (void) strip_children(n);
    }
}
