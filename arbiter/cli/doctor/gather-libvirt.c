/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather-libvirt.c - running guests by their definitions. Reading a definition takes no job in libvirt, so a hung QEMU
 * delays nothing here. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "domain-enable.h"
#include "domain-facts.h"
#include "gather.h"
#include "xml-edit.h"

static void swallow(void *userdata, virErrorPtr error) {
    (void) userdata;
    (void) error;
}

/* Would memarbctl enable add it? Then the guest lacks it. */
static void gather_lacks(const char *name, const char *xml, struct ma_doctor_facts *facts) {
    struct ma_err err = {0};
    uint32_t lacks = 0;
    xmlDocPtr doc = ma_xml_read(xml, strlen(xml));
    /* Any monitor that dials in to a socket counts: memarbd's place is the configuration's matter. */
    bool dials = strstr(xml, "server=off,reconnect=") != NULL;
    if (doc != NULL && ma_enable_add(doc, NULL, &lacks, &err) == 0) {
        if ((lacks & MA_ENABLE_CHANNEL) != 0) {
            ma_doctor_count(&facts->without_channel, name);
        } else if (strstr(xml, "name='" MA_CHANNEL_NAME "' state='disconnected'") != NULL) {
            ma_doctor_count(&facts->silent_agent, name);
        }
        if ((lacks & MA_ENABLE_REPORTING) != 0) {
            ma_doctor_count(&facts->without_reporting, name);
        }
        if (!dials) {
            ma_doctor_count(&facts->without_monitor, name);
        }
    }
    xmlFreeDoc(doc);
}

void ma_gather_domain(const char *name, const char *xml, struct ma_doctor_facts *facts) {
    struct lv_facts f = {0};
    xmlDocPtr doc = lv_domain_parse(xml);
    if (doc == NULL) {
        return;
    }
    facts->n_domains++;
    lv_facts_read(doc, &f);
    xmlFreeDoc(doc);
    if (!f.has_balloon) {
        ma_doctor_count(&facts->without_balloon, name);
    } else if (f.inhibited_by != 0) {
        ma_doctor_count(&facts->inhibited, name);
    } else if (f.balloon_period_s == 0) {
        ma_doctor_count(&facts->without_statistics, name);
    }
    gather_lacks(name, xml, facts);
}

void ma_gather_libvirt(const char *uri, struct ma_doctor_facts *facts) {
    virDomainPtr *doms = NULL;
    virSetErrorFunc(NULL, swallow);
    virConnectPtr conn = virConnectOpenReadOnly(uri);
    int n =
        conn != NULL ? virConnectListAllDomains(conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE) : -1;
    facts->is_libvirt_reached = n >= 0 ? MA_YES : MA_NO;
    if (n < 0) {
        (void) snprintf(facts->libvirt_problem, sizeof(facts->libvirt_problem), "%.150s",
                        virGetLastErrorMessage());
    }
    for (int i = 0; i < n; i++) {
        ma_auto_free char *xml = virDomainGetXMLDesc(doms[i], 0);
        const char *name = virDomainGetName(doms[i]);
        if (xml != NULL && name != NULL) {
            ma_gather_domain(name, xml, facts);
        }
        (void) virDomainFree(doms[i]);
    }
    free(doms);
    if (conn != NULL) {
        (void) virConnectClose(conn);
    }
}
