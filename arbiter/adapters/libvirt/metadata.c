/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metadata.c - the element urn:memarb:guest:1, from text to settings.
 *
 * The text comes from whoever may define domains, so it is judged as a stranger's: bounded size, no DTD (hence no
 * entities of its own), no network, libxml2's own depth limit of 256, and only two levels of it are ever looked at.
 *
 *   I1  an attribute that we do not know is ignored and named in `problem`
 *   I2  a value that makes no sense, a value said twice and two values that contradict each other set their bit in `bad`
 *       and never in `has`: what happens then is the merger's decision, not the parser's
 *   I3  text that is not one well-formed element of ours sets all bits of `bad`
 *
 * Rejected: validating against the RELAX NG schema at run time. It knows only yes and no, while I1 must let the good
 * part of a newer element through. The schema is for people who write the element. */

#include "metadata.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

#define NAMESPACE "urn:memarb:guest:1"
/* Linux' PID_MAX_LIMIT on 64 bit: no pids.max above it means anything. */
#define PIDS_MAX UINT64_C(4194304)
/* 10,000 CPUs. */
#define CPU_MAX_PERMYRIAD UINT64_C(100000000)
/* Longest attribute worth looking at: the list of all actions has 50 bytes. */
#define VALUE_MAX_BYTES 256U

static void note(struct ma_metadata *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct ma_metadata *m, const char *format, ...) {
    if (m->problem[0] != '\0') {
        return; /* the first one is what the operator mends first */
    }
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(m->problem, sizeof(m->problem), format, ap);
    va_end(ap);
    for (char *c = m->problem; *c != '\0'; c++) {
        if ((unsigned char) *c < ' ' || *c == 0x7f) {
            *c = '?'; /* it goes to logs and terminals */
        }
    }
}

static int parse_impact(const char *text, struct ma_said *said) {
    uint64_t weight = 0;
    if (strcmp(text, "never") == 0) {
        said->config.impact_class = MA_IMPACT_NEVER;
    } else if (strcmp(text, "first") == 0) {
        said->config.impact_class = MA_IMPACT_FIRST;
    } else {
        int r = ma_parse_u64(text, MA_IMPACT_MAX, &weight);
        if (r < 0 || weight == 0) {
            return -EINVAL;
        }
        said->config.impact_class = MA_IMPACT_WEIGHT;
    }
    said->config.impact = (uint32_t) weight;
    return 0;
}

static int parse_shares(const char *text, struct ma_said *said) {
    uint64_t shares;
    if (ma_parse_u64(text, MA_SHARES_MAX, &shares) < 0 || shares == 0) {
        return -EINVAL;
    }
    said->config.shares = (uint32_t) shares;
    return 0;
}

static int parse_restart(const char *text, struct ma_said *said) {
    return ma_parse_usec(text, &said->config.restart_usec);
}

static int parse_guarantee(const char *text, struct ma_said *said) {
    return ma_parse_bytes(text, &said->config.guarantee_bytes);
}

/* Nobody means 0 by a ceiling: a guest with none of what it caps cannot live. */
static int parse_positive_bytes(const char *text, uint64_t *ret) {
    uint64_t v;
    int r = ma_parse_bytes(text, &v);
    if (r < 0) {
        return r;
    }
    if (v == 0) {
        return -ERANGE;
    }
    *ret = v;
    return 0;
}

static int parse_limit(const char *text, struct ma_said *said) {
    return parse_positive_bytes(text, &said->config.limit_bytes);
}

static int parse_pin_limit(const char *text, struct ma_said *said) {
    return ma_parse_bytes(text, &said->config.pin_limit_bytes);
}

static int parse_cap_memory(const char *text, struct ma_said *said) {
    return parse_positive_bytes(text, &said->config.cap_memory_bytes);
}

static int parse_cap_swap(const char *text, struct ma_said *said) {
    return ma_parse_bytes(text, &said->config.cap_swap_bytes);
}

static int parse_cap_pids(const char *text, struct ma_said *said) {
    uint64_t v;
    if (ma_parse_u64(text, PIDS_MAX, &v) < 0 || v == 0) {
        return -EINVAL;
    }
    said->config.cap_pids = v;
    return 0;
}

static int parse_cap_cpu(const char *text, struct ma_said *said) {
    uint64_t v;
    if (ma_parse_percent(text, CPU_MAX_PERMYRIAD, &v) < 0 || v == 0) {
        return -EINVAL;
    }
    said->config.cap_cpu_permyriad = v;
    return 0;
}

static int parse_actions(const char *text, struct ma_said *said) {
    char word[16];
    uint32_t bits = 0;
    for (const char *p = text + strspn(text, " "); *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        if (n >= sizeof(word)) {
            return -EINVAL;
        }
        (void) snprintf(word, sizeof(word), "%.*s", (int) n, p);
        int action = ma_action_from_name(word);
        if (action < 0 || action >= MA_ACTION_OPTION_COUNT) {
            return -EINVAL;
        }
        bits |= MA_ACTION_BIT(action);
        p += n;
    }
    said->config.actions = bits;
    return 0;
}

static int parse_shutdown_timeout(const char *text, struct ma_said *said) {
    uint64_t v;
    if (ma_parse_usec(text, &v) < 0 || v == 0) {
        return -EINVAL;
    }
    said->config.shutdown_timeout_usec = v;
    return 0;
}

/* Names go to logs, tables and comparisons: printable ASCII, no blanks. A longer one must not be cut, or two groups
 * could become one. */
static int parse_group(const char *text, struct ma_said *said) {
    size_t n = strlen(text);
    if (n == 0 || n >= sizeof(said->group)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return -EINVAL;
        }
    }
    (void) snprintf(said->group, sizeof(said->group), "%s", text);
    return 0;
}

static const struct attribute {
    const char *element; /* "" is the root */
    const char *name;
    uint32_t has;
    int (*parse)(const char *text, struct ma_said *said);
    const char *want;
} attributes[] = {
    {"", "impact", MA_CONFIG_HAS_IMPACT, parse_impact, "never, first or 1..1000"},
    {"", "shares", MA_CONFIG_HAS_SHARES, parse_shares, "1..1000000"},
    {"", "restart", MA_CONFIG_HAS_RESTART, parse_restart, "a time such as 90s"},
    {"memory", "guarantee", MA_CONFIG_HAS_GUARANTEE, parse_guarantee, "a size such as 2GiB"},
    {"memory", "limit", MA_CONFIG_HAS_LIMIT, parse_limit, "a size such as 8GiB, not 0"},
    {"pin", "limit", MA_CONFIG_HAS_PIN_LIMIT, parse_pin_limit, "a size such as 8GiB"},
    {"cap", "memory", MA_CONFIG_HAS_CAP_MEMORY, parse_cap_memory, "a size such as 10GiB, not 0"},
    {"cap", "swap", MA_CONFIG_HAS_CAP_SWAP, parse_cap_swap, "a size such as 2GiB"},
    {"cap", "pids", MA_CONFIG_HAS_CAP_PIDS, parse_cap_pids, "1..4194304"},
    {"cap", "cpu", MA_CONFIG_HAS_CAP_CPU, parse_cap_cpu, "a share such as 400%, not 0"},
    {"actions", "allow", MA_CONFIG_HAS_ACTIONS, parse_actions,
     "names of balloon, resize, reclaim, pause, save, shutdown, kill"},
    {"actions", "shutdown-timeout", MA_CONFIG_HAS_SHUTDOWN_TIMEOUT, parse_shutdown_timeout,
     "a time such as 60s, not 0"},
    {"group", "name", MA_CONFIG_HAS_GROUP, parse_group, "1..63 printable characters, no blank"},
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static const struct attribute *find_attribute(const char *element, const char *name) {
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (strcmp(attributes[i].element, element) == 0 && strcmp(attributes[i].name, name) == 0) {
            return &attributes[i];
        }
    }
    return NULL;
}

static bool is_known_element(const char *name) {
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (name[0] != '\0' && strcmp(attributes[i].element, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Ours: with our namespace, or without any (so libvirt hands it out). */
static bool is_ours(const xmlNs *ns) {
    return ns == NULL || strcmp((const char *) ns->href, NAMESPACE) == 0;
}

static void mark_bad(struct ma_metadata *m, uint32_t bit) {
    m->bad |= bit;
    m->said.config.has &= ~bit;
}

static void take_attribute(struct ma_metadata *m, const char *element, xmlAttrPtr attr) {
    const struct attribute *a =
        is_ours(attr->ns) ? find_attribute(element, (const char *) attr->name) : NULL;
    if (a == NULL) {
        note(m, "unknown attribute \"%.40s\"%s%s, ignored", (const char *) attr->name,
             element[0] != '\0' ? " of " : "", element);
        return;
    }
    if (((m->said.config.has | m->bad) & a->has) != 0) {
        note(m, "%s%s%s is said twice", element, element[0] != '\0' ? " " : "", a->name);
        mark_bad(m, a->has);
        return;
    }
    xmlChar *value = xmlNodeListGetString(attr->doc, attr->children, 1);
    const char *text = value != NULL ? (const char *) value : "";
    if (strlen(text) <= VALUE_MAX_BYTES && a->parse(text, &m->said) == 0) {
        m->said.config.has |= a->has;
    } else {
        note(m, "%s%s%s=\"%.40s\": want %s", element, element[0] != '\0' ? " " : "", a->name, text,
             a->want);
        mark_bad(m, a->has);
    }
    xmlFree(value);
}

static void take_element(struct ma_metadata *m, const char *name, const xmlNode *node) {
    for (xmlAttrPtr attr = node->properties; attr != NULL; attr = attr->next) {
        take_attribute(m, name, attr);
    }
}

static void take_children(struct ma_metadata *m, const xmlNode *root) {
    for (xmlNodePtr n = root->children; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE) {
            continue;
        }
        const char *name = (const char *) n->name;
        if (is_ours(n->ns) && is_known_element(name)) {
            take_element(m, name, n);
        } else {
            note(m, "unknown element \"%.40s\", ignored", name);
        }
    }
}

static void check_contradictions(struct ma_metadata *m) {
    const uint32_t both = MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_LIMIT;
    const struct ma_guest_config *c = &m->said.config;
    if ((c->has & both) == both && c->guarantee_bytes > c->limit_bytes) {
        note(m, "memory guarantee exceeds memory limit");
        mark_bad(m, both);
    }
}

/* A document type declares entities, which could make a short text long: nobody needs one here. */
static void refuse_dtd(void *userdata, const xmlChar *name, const xmlChar *id, const xmlChar *uri) {
    (void) name;
    (void) id;
    (void) uri;
    xmlStopParser(userdata);
}

static xmlDocPtr read_document(const char *xml, size_t size) {
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    if (ctxt == NULL) {
        return NULL;
    }
    ctxt->sax->internalSubset = refuse_dtd;
    ctxt->sax->externalSubset = refuse_dtd;
    xmlDocPtr doc = xmlCtxtReadMemory(ctxt, xml, (int) size, NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlFreeParserCtxt(ctxt);
    return doc;
}

static void refuse_all(struct ma_metadata *m, const char *why) {
    note(m, "%s", why);
    m->bad = UINT32_MAX;
    m->said = (struct ma_said){0};
}

void ma_metadata_parse(const char *xml, size_t size, struct ma_metadata *ret) {
    *ret = (struct ma_metadata){0};
    if (size > MA_METADATA_MAX_BYTES) {
        refuse_all(ret, "metadata is larger than 64 KiB");
        return;
    }
    xmlDocPtr doc = size > 0 ? read_document(xml, size) : NULL;
    const xmlNode *root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;
    if (root == NULL) {
        refuse_all(ret, "metadata is not well-formed XML, or has a document type");
    } else if (!is_ours(root->ns) || strcmp((const char *) root->name, "guest") != 0) {
        refuse_all(ret, "metadata is no element guest of " NAMESPACE);
    } else {
        take_element(ret, "", root);
        take_children(ret, root);
        check_contradictions(ret);
    }
    xmlFreeDoc(doc);
}
