/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rules.c - [Guest MATCH] sections of the host's configuration, matched against one guest.
 *
 * The patterns are the operator's, the documents they meet are not: an XPath is given a bound of operations, so that
 * a quadratic one over a large definition fails instead of holding a thread. A rule that fails may have been the one
 * that protects the guest, so its guest is marked invalid. */

#include <fnmatch.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "metadata.h"

/* XPath steps for one rule and guest. A flavor or project look-up takes some hundreds on a 20 KiB definition (libxml2
 * 2.9.14); too small refuses honest rules on large guests, too large lets one hold the thread: 10 M are about 1 s. */
#define XPATH_OPERATIONS_MAX 1000000UL

static const struct ma_rule_namespace builtin_namespaces[] = {
    {"nova", "http://openstack.org/xmlns/libvirt/nova/1.1"},
    {"ovirt-tune", "http://ovirt.org/vm/tune/1.0"},
    {"ovirt-vm", "http://ovirt.org/vm/1.0"},
    {"memarb", "urn:memarb:guest:1"},
};

/* libxml2 would write to stderr otherwise; the caller says what failed. */
static void swallow(void *userdata, xmlErrorPtr error) {
    (void) userdata;
    (void) error;
}

static int
register_namespaces(xmlXPathContextPtr ctxt, const struct ma_rule_namespace *namespaces, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (xmlXPathRegisterNs(ctxt, (const xmlChar *) namespaces[i].prefix,
                               (const xmlChar *) namespaces[i].uri) != 0) {
            return -EINVAL;
        }
    }
    return 0;
}

/* Unknown functions are reported through the old channel, which is per thread. */
static void swallow_text(void *userdata, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void swallow_text(void *userdata, const char *format, ...) {
    (void) userdata;
    (void) format;
}

/* Configured prefixes come second: they may redefine a built-in one. NULL: no memory or a bad prefix. */
static xmlXPathContextPtr new_context(const struct ma_guest_rules *rules, xmlDocPtr doc) {
    xmlXPathContextPtr ctxt = xmlXPathNewContext(doc);
    if (ctxt == NULL) {
        return NULL;
    }
    ctxt->error = swallow;
    ctxt->opLimit = XPATH_OPERATIONS_MAX;
    ctxt->node = doc != NULL ? xmlDocGetRootElement(doc) : NULL;
    size_t n_builtin = sizeof(builtin_namespaces) / sizeof(builtin_namespaces[0]);
    if (register_namespaces(ctxt, builtin_namespaces, n_builtin) < 0 ||
        register_namespaces(ctxt, rules->namespaces, rules->n_namespaces) < 0) {
        xmlXPathFreeContext(ctxt);
        return NULL;
    }
    return ctxt;
}

/* 1, 0 or -EINVAL. */
static int match_xpath(const struct ma_guest_rules *rules,
                       const struct ma_guest_rule *rule,
                       const struct ma_rule_subject *subject) {
    if (subject->domain_xml_doc == NULL) {
        return 0;
    }
    /* libxml2's API is not const-correct; evaluation leaves the document as it is. */
    xmlXPathContextPtr ctxt = new_context(rules, (xmlDocPtr) subject->domain_xml_doc);
    if (ctxt == NULL) {
        return -EINVAL;
    }
    int r = -EINVAL;
    xmlGenericErrorFunc old_function = xmlGenericError;
    void *old_userdata = xmlGenericErrorContext;
    xmlSetGenericErrorFunc(NULL, swallow_text);
    xmlXPathObjectPtr result = xmlXPathEval((const xmlChar *) rule->pattern, ctxt);
    xmlSetGenericErrorFunc(old_userdata, old_function);
    if (result != NULL) {
        r = xmlXPathCastToBoolean(result) != 0 ? 1 : 0;
    }
    xmlXPathFreeObject(result);
    xmlXPathFreeContext(ctxt);
    return r;
}

static int match(const struct ma_guest_rules *rules,
                 const struct ma_guest_rule *rule,
                 const struct ma_rule_subject *subject) {
    switch (rule->match) {
    case MA_RULE_UUID:
        return subject->uuid != NULL && strcasecmp(rule->pattern, subject->uuid) == 0;
    case MA_RULE_NAME:
        return subject->name != NULL && fnmatch(rule->pattern, subject->name, 0) == 0;
    case MA_RULE_TITLE:
        return subject->title != NULL && fnmatch(rule->pattern, subject->title, 0) == 0;
    case MA_RULE_XPATH:
        return match_xpath(rules, rule, subject);
    default:
        return -EINVAL;
    }
}

static void
mark_unevaluated(const struct ma_guest_rule *rule, struct ma_said *said, char *problem) {
    said->config.has |= MA_CONFIG_HAS_VALID;
    said->config.is_invalid = true;
    if (problem[0] == '\0') {
        (void) snprintf(problem, MA_SOURCE_PROBLEM_MAX,
                        "the rule in line %u of the configuration cannot be evaluated for it",
                        rule->line);
    }
}

void ma_rules_merge(const struct ma_guest_rules *rules,
                    const struct ma_rule_subject *subject,
                    struct ma_said *said,
                    char *problem) {
    for (size_t i = 0; i < rules->n_rules; i++) {
        const struct ma_guest_rule *rule = &rules->rules[i];
        int r = match(rules, rule, subject);
        if (r < 0) {
            mark_unevaluated(rule, said, problem);
        } else if (r > 0) {
            struct ma_said over = {.config = rule->config};
            over.config.group = NULL;
            (void) snprintf(over.group, sizeof(over.group), "%s", rule->group);
            ma_said_merge(said, &over);
        }
    }
}

struct ma_guest_rules *ma_rules_copy(const struct ma_guest_rules *rules) {
    size_t rules_size = rules->n_rules * sizeof(*rules->rules);
    size_t ns_size = rules->n_namespaces * sizeof(*rules->namespaces);
    struct ma_guest_rules *copy = calloc(1, sizeof(*copy) + rules_size + ns_size);
    if (copy == NULL) {
        return NULL;
    }
    /* The header's size is a multiple of its alignment, which is the strictest of the three. */
    struct ma_guest_rule *r = (void *) (copy + 1);
    struct ma_rule_namespace *ns = (void *) (r + rules->n_rules);
    if (rules_size > 0) {
        memcpy(r, rules->rules, rules_size);
    }
    if (ns_size > 0) {
        memcpy(ns, rules->namespaces, ns_size);
    }
    for (size_t i = 0; i < rules->n_rules; i++) {
        r[i].config.group = NULL;
    }
    *copy = (struct ma_guest_rules){r, rules->n_rules, ns, rules->n_namespaces};
    return copy;
}

/* Compiling does not look prefixes up, so the expression also runs once, over an empty document. */
static int check_xpath(const struct ma_guest_rules *rules, const struct ma_guest_rule *rule) {
    xmlDocPtr doc = xmlReadMemory("<domain/>", 9, NULL, NULL, XML_PARSE_NONET);
    struct ma_rule_subject subject = {.domain_xml_doc = doc};
    int r = doc != NULL ? match_xpath(rules, rule, &subject) : -ENOMEM;
    xmlFreeDoc(doc);
    return r < 0 ? r : 0;
}

int ma_rules_check(const struct ma_guest_rules *rules, char *problem) {
    for (size_t i = 0; i < rules->n_rules; i++) {
        const struct ma_guest_rule *rule = &rules->rules[i];
        if (rule->match == MA_RULE_XPATH && check_xpath(rules, rule) < 0) {
            (void) snprintf(problem, MA_SOURCE_PROBLEM_MAX,
                            "line %u: XPath \"%.80s\" does not compile or has an unknown prefix",
                            rule->line, rule->pattern);
            return -EINVAL;
        }
    }
    return 0;
}
