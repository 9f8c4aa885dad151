/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* live.c - hotplug of the agent's channel, and the balloon's statistics period. Free page reporting and the monitor are
 * arguments of QEMU's start. */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "domain-enable.h"
#include "xml-edit.h"

#define CHANNEL_XML                                                                                \
    "<channel type='unix'><target type='virtio' name='" MA_CHANNEL_NAME "'/></channel>"
#define LIVE_PARTS (MA_ENABLE_CHANNEL | MA_ENABLE_PERIOD)

static xmlDocPtr read_live(const struct ma_virt *virt) {
    ma_auto_free char *xml = virDomainGetXMLDesc(virt->dom, 0);
    return xml != NULL ? ma_xml_read(xml, strlen(xml)) : NULL;
}

/* What the definition of the running guest would still be given. */
static int missing(const struct ma_virt *virt, uint32_t *ret) {
    struct ma_err err = {0};
    xmlDocPtr doc = read_live(virt);
    int r = doc != NULL ? ma_enable_add(doc, NULL, ret, &err) : -1;
    xmlFreeDoc(doc);
    return r == 0
               ? 0
               : ma_cli_fail(MA_EXIT_ERROR, "cannot read the running definition %s", err.message);
}

static uint32_t noted(const struct ma_virt *virt) {
    xmlDocPtr doc = read_live(virt);
    uint32_t parts = doc != NULL ? ma_enable_noted(doc) : 0;
    xmlFreeDoc(doc);
    return parts;
}

int ma_live_plan(const struct ma_virt *virt, bool is_adding, uint32_t *ret_parts) {
    uint32_t parts = 0;
    if (!virt->is_active) {
        *ret_parts = 0;
        return 0;
    }
    int r = is_adding ? missing(virt, &parts) : 0;
    parts = is_adding ? parts : noted(virt);
    /* libvirt cannot plug that controller, so the channel waits for the next start with it. */
    bool can_plug = (parts & MA_ENABLE_CONTROLLER) == 0;
    *ret_parts = parts & (can_plug || !is_adding ? LIVE_PARTS : MA_ENABLE_PERIOD);
    return r;
}

static int write_note(const struct ma_virt *virt, uint32_t parts) {
    char text[160] = "<added parts=\"";
    size_t len = strlen(text);
    if (parts == 0) {
        return ma_virt_put_metadata(virt, VIR_DOMAIN_AFFECT_LIVE, MA_ENABLED_PREFIX, MA_ENABLED_URI,
                                    NULL);
    }
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        if ((parts >> i & 1U) != 0) {
            int n = snprintf(text + len, sizeof(text) - len, "%s ", ma_enable_name(i));
            len += n > 0 ? (size_t) n : 0;
        }
    }
    (void) snprintf(text + len - 1, sizeof(text) - len + 1, "\"/>");
    return ma_virt_put_metadata(virt, VIR_DOMAIN_AFFECT_LIVE, MA_ENABLED_PREFIX, MA_ENABLED_URI,
                                text);
}

/* libvirt wants it as it stands there, with its socket's path. One that is gone already is fine. */
static bool detach_channel(const struct ma_virt *virt) {
    xmlDocPtr doc = read_live(virt);
    ma_auto_free char *channel = doc != NULL ? ma_enable_channel(doc) : NULL;
    xmlFreeDoc(doc);
    return channel == NULL ||
           virDomainDetachDeviceFlags(virt->dom, channel, VIR_DOMAIN_AFFECT_LIVE) == 0;
}

static bool do_part(const struct ma_virt *virt, enum ma_enable_part part, bool is_adding) {
    if (part == MA_ENABLE_PERIOD) {
        return virDomainSetMemoryStatsPeriod(virt->dom, is_adding ? (int) MA_ENABLED_PERIOD_S : 0,
                                             VIR_DOMAIN_AFFECT_LIVE) == 0;
    }
    return is_adding
               ? virDomainAttachDeviceFlags(virt->dom, CHANNEL_XML, VIR_DOMAIN_AFFECT_LIVE) == 0
               : detach_channel(virt);
}

int ma_live_add(const struct ma_virt *virt, uint32_t parts) {
    uint32_t before = noted(virt), done = 0;
    int r = 0;
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        if ((parts >> i & 1U) == 0) {
            continue;
        }
        if (do_part(virt, 1U << i, true)) {
            done |= 1U << i;
        } else {
            r = ma_virt_fail(MA_EXIT_ERROR, ma_enable_words(i));
        }
    }
    int noting = done != 0 ? write_note(virt, before | done) : 0;
    return r != 0 ? r : noting;
}

int ma_live_take(const struct ma_virt *virt, uint32_t parts) {
    int r = 0;
    for (unsigned i = MA_ENABLE_PARTS; i-- > 0;) {
        if ((parts >> i & 1U) != 0 && !do_part(virt, 1U << i, false)) {
            r = ma_virt_fail(MA_EXIT_ERROR, ma_enable_words(i));
        }
    }
    return r != 0 ? r : write_note(virt, 0);
}
