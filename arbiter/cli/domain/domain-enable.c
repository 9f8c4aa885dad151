/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-enable.c - see domain-enable.h.
 *
 *   E1  what an operator has said already is left as it is: a channel, a period, freePageReporting='off', a monitor
 *   E2  only what is added is noted, and only what is noted and unchanged is taken out
 *   E3  nothing else of the definition changes by a byte
 *
 * The order of parts in the table is the order of adding; undoing goes backwards, so that the controller goes after
 * its channel. */
#include "domain-enable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest-element.h"
#include "xml-edit.h"

#define QEMU_URI   "http://libvirt.org/schemas/domain/qemu/1.0"
#define CHARDEV_ID "id=memarb"
#define MONITOR    "chardev=memarb,mode=control"
#define VALUE_MAX  512
#define PERIOD_MAX 16

struct site {
    xmlDocPtr doc;
    xmlNodePtr root, metadata, devices, note;
    const char *socket;
};

static bool open_site(xmlDocPtr doc, struct site *s) {
    *s = (struct site){.doc = doc, .root = xmlDocGetRootElement(doc)};
    s->metadata = ma_xml_child(s->root, "metadata", NULL);
    s->devices = ma_xml_child(s->root, "devices", NULL);
    s->note = ma_xml_child(s->metadata, "added", MA_ENABLED_URI);
    return s->root != NULL && ma_xml_is(s->root, "domain", NULL) && s->devices != NULL;
}

static bool set(xmlNodePtr node, const char *name, const char *value) {
    return node != NULL &&
           xmlSetProp(node, (const xmlChar *) name, (const xmlChar *) value) != NULL;
}

/* guest: a place for settings. */

static xmlNodePtr
add_named(xmlNodePtr parent, const char *name, const char *uri, const char *prefix) {
    xmlNodePtr node = ma_xml_add(parent, name);
    xmlNsPtr ns =
        node != NULL ? xmlNewNs(node, (const xmlChar *) uri, (const xmlChar *) prefix) : NULL;
    if (ns != NULL) {
        xmlSetNs(node, ns);
    }
    return ns != NULL ? node : NULL;
}

static int add_guest(struct site *s) {
    if (ma_xml_child(s->metadata, "guest", MA_GUEST_URI) != NULL) {
        return 0;
    }
    return add_named(s->metadata, "guest", MA_GUEST_URI, MA_GUEST_PREFIX) != NULL ? 1 : -ENOMEM;
}

static bool undo_guest(struct site *s) {
    xmlNodePtr guest = ma_xml_child(s->metadata, "guest", MA_GUEST_URI);
    if (guest != NULL && (guest->properties != NULL || xmlChildElementCount(guest) > 0)) {
        return false;
    }
    if (guest != NULL) {
        ma_xml_remove(guest);
    }
    return true;
}

/* virtio-serial controller: libvirt would add one by itself, and leave it behind. */

static xmlNodePtr find_controller(const struct site *s) {
    xmlNodePtr n = ma_xml_child(s->devices, "controller", NULL);
    while (n != NULL && strcmp(ma_xml_get(n, "type"), "virtio-serial") != 0) {
        n = ma_xml_next(n, "controller", NULL);
    }
    return n;
}

static int add_controller(struct site *s) {
    if (find_controller(s) != NULL) {
        return 0;
    }
    xmlNodePtr last = NULL;
    for (xmlNodePtr n = ma_xml_child(s->devices, "controller", NULL); n != NULL;
         n = ma_xml_next(n, "controller", NULL)) {
        last = n;
    }
    xmlNodePtr node = xmlNewDocNode(s->doc, NULL, (const xmlChar *) "controller", NULL);
    if (!set(node, "type", "virtio-serial") || !set(node, "index", "0")) {
        xmlFreeNode(node);
        return -ENOMEM;
    }
    ma_xml_insert(s->devices, node, last);
    return 1;
}

static bool uses_serial(const xmlNode *device) {
    const xmlNode *address = ma_xml_child(device, "address", NULL);
    const char *target = ma_xml_get(ma_xml_child(device, "target", NULL), "type");
    return strcmp(ma_xml_get(address, "type"), "virtio-serial") == 0 ||
           (strcmp(target, "virtio") == 0 &&
            (ma_xml_is(device, "channel", NULL) || ma_xml_is(device, "console", NULL)));
}

static bool undo_controller(struct site *s) {
    for (const xmlNode *n = s->devices->children; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && uses_serial(n)) {
            return false;
        }
    }
    xmlNodePtr controller = find_controller(s);
    if (controller != NULL) {
        ma_xml_remove(controller);
    }
    return true;
}

/* Channel. */

static xmlNodePtr find_channel(const struct site *s) {
    xmlNodePtr n = ma_xml_child(s->devices, "channel", NULL);
    while (n != NULL &&
           strcmp(ma_xml_get(ma_xml_child(n, "target", NULL), "name"), MA_CHANNEL_NAME) != 0) {
        n = ma_xml_next(n, "channel", NULL);
    }
    return n;
}

char *ma_enable_socket(xmlDocPtr doc) {
    struct site s;
    return open_site(doc, &s) && s.note != NULL ? strdup(ma_xml_get(s.note, "socket")) : NULL;
}

char *ma_enable_channel(xmlDocPtr doc) {
    struct site s;
    xmlNodePtr channel = open_site(doc, &s) ? find_channel(&s) : NULL;
    xmlBufferPtr buffer = channel != NULL ? xmlBufferCreate() : NULL;
    char *text = NULL;
    if (buffer != NULL && xmlNodeDump(buffer, doc, channel, 0, 0) >= 0) {
        text = strdup((const char *) xmlBufferContent(buffer));
    }
    xmlBufferFree(buffer);
    return text;
}

static int add_channel(struct site *s) {
    if (find_channel(s) != NULL) {
        return 0;
    }
    xmlNodePtr channel = ma_xml_add(s->devices, "channel");
    bool is_good = set(channel, "type", "unix");
    xmlNodePtr target = is_good ? ma_xml_add(channel, "target") : NULL;
    is_good = set(target, "type", "virtio") && set(target, "name", MA_CHANNEL_NAME);
    return is_good ? 1 : -ENOMEM;
}

static bool undo_channel(struct site *s) {
    xmlNodePtr channel = find_channel(s);
    if (channel != NULL && (strcmp(ma_xml_get(channel, "type"), "unix") != 0 ||
                            ma_xml_child(channel, "source", NULL) != NULL)) {
        return false; /* somebody gave it a place of its own */
    }
    if (channel != NULL) {
        ma_xml_remove(channel);
    }
    return true;
}

/* Balloon: statistics and free page reporting. */

static xmlNodePtr find_balloon(const struct site *s) {
    xmlNodePtr balloon = ma_xml_child(s->devices, "memballoon", NULL);
    return balloon != NULL && strcmp(ma_xml_get(balloon, "model"), "none") != 0 ? balloon : NULL;
}

static int add_period(struct site *s) {
    xmlNodePtr balloon = find_balloon(s);
    xmlNodePtr stats = ma_xml_child(balloon, "stats", NULL);
    const char *period = ma_xml_get(stats, "period");
    char text[PERIOD_MAX];
    if (balloon == NULL || (period[0] != '\0' && strcmp(period, "0") != 0)) {
        return 0;
    }
    if (stats == NULL) {
        stats = xmlNewDocNode(s->doc, NULL, (const xmlChar *) "stats", NULL);
        if (stats != NULL) {
            ma_xml_insert(balloon, stats, NULL);
        }
    }
    (void) snprintf(text, sizeof(text), "%u", MA_ENABLED_PERIOD_S);
    return set(stats, "period", text) ? 1 : -ENOMEM;
}

static bool undo_period(struct site *s) {
    xmlNodePtr stats = ma_xml_child(find_balloon(s), "stats", NULL);
    char text[PERIOD_MAX];
    (void) snprintf(text, sizeof(text), "%u", MA_ENABLED_PERIOD_S);
    if (stats != NULL && strcmp(ma_xml_get(stats, "period"), text) != 0) {
        return false;
    }
    if (stats != NULL) {
        ma_xml_remove(stats); /* a period of 0 that stood there means the same as none */
    }
    return true;
}

static int add_reporting(struct site *s) {
    xmlNodePtr balloon = find_balloon(s);
    if (balloon == NULL || ma_xml_get(balloon, "freePageReporting")[0] != '\0') {
        return 0;
    }
    return set(balloon, "freePageReporting", "on") ? 1 : -ENOMEM;
}

static bool undo_reporting(struct site *s) {
    xmlNodePtr balloon = find_balloon(s);
    if (strcmp(ma_xml_get(balloon, "freePageReporting"), "off") == 0) {
        return false;
    }
    if (balloon != NULL) {
        (void) xmlUnsetProp(balloon, (const xmlChar *) "freePageReporting"); /* may be gone */
    }
    return true;
}

/* Monitor: four of QEMU's arguments, which must stay together. */

static void chardev_of(char value[VALUE_MAX], const char *socket) {
    (void) snprintf(value, VALUE_MAX, "socket," CHARDEV_ID ",path=%s,server=off,reconnect=1",
                    socket);
}

static bool dials_already(const xmlNode *commandline, const char *socket) {
    char path[VALUE_MAX];
    (void) snprintf(path, sizeof(path), "path=%s,", socket);
    for (xmlNodePtr n = ma_xml_child(commandline, "arg", QEMU_URI); n != NULL;
         n = ma_xml_next(n, "arg", QEMU_URI)) {
        if (strstr(ma_xml_get(n, "value"), path) != NULL) {
            return true;
        }
    }
    return false;
}

static xmlNodePtr open_commandline(struct site *s) {
    xmlNodePtr node = ma_xml_child(s->root, "commandline", QEMU_URI);
    if (node != NULL) {
        return node;
    }
    node = ma_xml_add(s->root, "commandline");
    xmlNsPtr ns = xmlSearchNsByHref(s->doc, s->root, (const xmlChar *) QEMU_URI);
    if (node != NULL && (ns == NULL || ns->prefix == NULL)) {
        ns = xmlNewNs(node, (const xmlChar *) QEMU_URI, (const xmlChar *) "qemu");
    }
    if (node != NULL) {
        xmlSetNs(node, ns);
    }
    return ns != NULL ? node : NULL;
}

static bool undo_monitor(struct site *s) {
    char chardev[VALUE_MAX];
    xmlNodePtr commandline = ma_xml_child(s->root, "commandline", QEMU_URI);
    chardev_of(chardev, ma_xml_get(s->note, "socket"));
    const char *const values[] = {"-chardev", chardev, "-mon", MONITOR};
    xmlNodePtr found[4] = {NULL};
    size_t n_found = 0;
    for (xmlNodePtr n = ma_xml_child(commandline, "arg", QEMU_URI); n != NULL && n_found < 4;
         n = ma_xml_next(n, "arg", QEMU_URI)) {
        bool is_next = strcmp(ma_xml_get(n, "value"), values[n_found]) == 0;
        n_found = is_next ? n_found : 0;
        /* A row that broke off may begin anew right here. */
        if (strcmp(ma_xml_get(n, "value"), values[n_found]) == 0) {
            found[n_found++] = n;
        }
    }
    if (n_found < 4) {
        return commandline == NULL;
    }
    for (size_t i = 0; i < 4; i++) {
        ma_xml_remove(found[i]);
    }
    if (xmlChildElementCount(commandline) == 0) {
        ma_xml_remove(commandline);
    }
    return true;
}

/* QEMU does not start with two of one id. */
static bool has_our_id(const xmlNode *commandline) {
    bool is_chardev = false;
    for (xmlNodePtr n = ma_xml_child(commandline, "arg", QEMU_URI); n != NULL;
         n = ma_xml_next(n, "arg", QEMU_URI)) {
        char text[2 * VALUE_MAX];
        (void) snprintf(text, sizeof(text), ",%s,", ma_xml_get(n, "value"));
        if (is_chardev && strstr(text, "," CHARDEV_ID ",") != NULL) {
            return true;
        }
        is_chardev = strcmp(ma_xml_get(n, "value"), "-chardev") == 0;
    }
    return false;
}

static int add_monitor(struct site *s) {
    char chardev[VALUE_MAX];
    const xmlNode *old = ma_xml_child(s->root, "commandline", QEMU_URI);
    if (s->socket == NULL || s->socket[0] == '\0' || dials_already(old, s->socket)) {
        return 0;
    }
    if (s->note != NULL) {
        /* Ours, for a socket of before; where it is not, the next line tells. */
        (void) undo_monitor(s);
    }
    if (has_our_id(ma_xml_child(s->root, "commandline", QEMU_URI))) {
        return -EEXIST;
    }
    chardev_of(chardev, s->socket);
    const char *const values[] = {"-chardev", chardev, "-mon", MONITOR};
    xmlNodePtr commandline = open_commandline(s);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && commandline != NULL; i++) {
        xmlNodePtr arg = ma_xml_add(commandline, "arg");
        if (arg == NULL || !set(arg, "value", values[i])) {
            return -ENOMEM;
        }
        xmlSetNs(arg, commandline->ns);
    }
    return commandline != NULL ? 1 : -ENOMEM;
}

static const struct part {
    const char *name;
    const char *words;
    int (*add)(struct site *s);   /* 1: added; 0: there was nothing to add; -ENOMEM, -EEXIST */
    bool (*undo)(struct site *s); /* false: changed since, left as it is */
} parts[MA_ENABLE_PARTS] = {
    {"guest", "a place for settings in its metadata", add_guest, undo_guest},
    {"controller", "a virtio-serial controller", add_controller, undo_controller},
    {"channel", "the channel of the guest agent", add_channel, undo_channel},
    {"period", "balloon statistics every 5 s", add_period, undo_period},
    {"reporting", "free page reporting", add_reporting, undo_reporting},
    {"monitor", "a monitor that dials in to memarbd", add_monitor, undo_monitor},
};

const char *ma_enable_name(unsigned index) {
    return parts[index].name;
}
const char *ma_enable_words(unsigned index) {
    return parts[index].words;
}

static uint32_t noted_parts(const struct site *s) {
    char list[VALUE_MAX];
    uint32_t bits = 0;
    (void) snprintf(list, sizeof(list), " %s ", ma_xml_get(s->note, "parts"));
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        char word[32];
        (void) snprintf(word, sizeof(word), " %s ", parts[i].name);
        bits |= strstr(list, word) != NULL ? 1U << i : 0;
    }
    return bits;
}

uint32_t ma_enable_noted(xmlDocPtr doc) {
    struct site s;
    return open_site(doc, &s) && s.note != NULL ? noted_parts(&s) : 0;
}

static int write_note(struct site *s, uint32_t bits, bool has_new_monitor) {
    char list[VALUE_MAX] = "";
    size_t len = 0;
    if (s->note == NULL) {
        s->note = add_named(s->metadata, "added", MA_ENABLED_URI, MA_ENABLED_PREFIX);
    }
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        if ((bits >> i & 1U) != 0) {
            int n =
                snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? " " : "", parts[i].name);
            len += n > 0 ? (size_t) n : 0;
        }
    }
    bool is_good = set(s->note, "parts", list);
    if (is_good && has_new_monitor) {
        is_good = set(s->note, "socket", s->socket);
    }
    return is_good ? 0 : -ENOMEM;
}

/* <metadata> comes before the memory, where people look for it. */
static bool open_metadata(struct site *s) {
    if (s->metadata == NULL) {
        xmlNodePtr after = ma_xml_child(s->root, "uuid", NULL);
        s->metadata = xmlNewDocNode(s->doc, NULL, (const xmlChar *) "metadata", NULL);
        if (s->metadata != NULL) {
            ma_xml_insert(s->root, s->metadata,
                          after != NULL ? after : ma_xml_child(s->root, "name", NULL));
        }
    }
    return s->metadata != NULL;
}

int ma_enable_add(xmlDocPtr doc, const char *socket, uint32_t *ret_added, struct ma_err *err) {
    struct site s;
    uint32_t added = 0;
    if (!open_site(doc, &s)) {
        return ma_err_set(err, -EINVAL, "this is no definition of a domain with devices");
    }
    if (socket != NULL && (strlen(socket) > 107 || strchr(socket, ',') != NULL)) {
        return ma_err_set(err, -EINVAL, "QmpListen=%s cannot be written into QEMU's arguments",
                          socket);
    }
    s.socket = socket;
    if (!open_metadata(&s)) {
        return ma_err_set(err, -ENOMEM, "no memory");
    }
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        int r = parts[i].add(&s);
        if (r == -EEXIST) {
            return ma_err_set(err, r,
                              "its qemu:commandline has a -chardev with " CHARDEV_ID
                              " already, and QEMU starts with one of that name only: rename "
                              "it, or use --no-monitor");
        }
        if (r < 0) {
            return ma_err_set(err, r, "no memory");
        }
        added |= r > 0 ? 1U << i : 0;
    }
    uint32_t noted = s.note != NULL ? noted_parts(&s) : 0;
    if (added != 0 && write_note(&s, noted | added, (added & MA_ENABLE_MONITOR) != 0) < 0) {
        return ma_err_set(err, -ENOMEM, "no memory");
    }
    if (xmlChildElementCount(s.metadata) == 0) {
        ma_xml_remove(s.metadata);
    }
    *ret_added = added;
    return 0;
}

int ma_enable_undo(xmlDocPtr doc, uint32_t *ret_undone, uint32_t *ret_left, struct ma_err *err) {
    struct site s;
    uint32_t undone = 0, left = 0;
    if (!open_site(doc, &s)) {
        return ma_err_set(err, -EINVAL, "this is no definition of a domain with devices");
    }
    if (s.note == NULL) {
        return ma_err_set(err, -ENOENT, "memarbctl enable has added nothing to it");
    }
    uint32_t noted = noted_parts(&s);
    for (unsigned i = MA_ENABLE_PARTS; i-- > 0;) {
        uint32_t bit = 1U << i;
        if ((noted & bit) != 0) {
            *(parts[i].undo(&s) ? &undone : &left) |= bit;
        }
    }
    ma_xml_remove(s.note);
    if (xmlChildElementCount(s.metadata) == 0) {
        ma_xml_remove(s.metadata);
    }
    *ret_undone = undone;
    *ret_left = left;
    return 0;
}
