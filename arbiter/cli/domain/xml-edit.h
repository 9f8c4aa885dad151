/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* xml-edit.h - XML that belongs to somebody else, changed in a few places: what is not touched keeps its text, blanks
 * included, and what is added is indented like its neighbours. One thread; nothing here does I/O. */

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

/* NULL: not well-formed, or with a document type. The caller frees it (xmlFreeDoc). */
xmlDocPtr ma_xml_read(const char *text, size_t size);
/* The root element and what is in it; NULL: no memory. The caller frees it (free). */
char *ma_xml_write(xmlDocPtr doc);

/* First child element of that name in the namespace uri (NULL: any or none), or NULL. */
xmlNodePtr ma_xml_child(const xmlNode *parent, const char *name, const char *uri);
/* The next one behind node. */
xmlNodePtr ma_xml_next(const xmlNode *node, const char *name, const char *uri);
/* Is node an element of that name and namespace? */
bool ma_xml_is(const xmlNode *node, const char *name, const char *uri);
/* "" where it is absent; the text lives until the attribute changes. Only for attributes without entities. */
const char *ma_xml_get(const xmlNode *node, const char *name);

/* Puts child (taken) behind `after`, or last in parent where that is NULL, on a line of its own. */
void ma_xml_insert(xmlNodePtr parent, xmlNodePtr child, xmlNodePtr after);
/* A new element without namespace, last in parent. NULL: no memory. */
xmlNodePtr ma_xml_add(xmlNodePtr parent, const char *name);
/* Takes it out with its line, and frees it. A parent that has nothing but blanks left becomes empty. */
void ma_xml_remove(xmlNodePtr node);
/* Takes the blank texts between node's children out, and between theirs. */
void ma_xml_strip_blanks(xmlNodePtr node);
