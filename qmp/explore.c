/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* explore.c - calls of several commands: which devices there are, and what a memory backend is.
 *
 * One slot, one deadline; each answer leads to the next command, with an id of its own. A list that must be there and is
 * not, or is of a wrong shape, fails the call. A question that this QEMU does not know leaves its field unknown.
 *
 * Where the facts come from (QEMU 7.2, asked): qom-list of /machine/peripheral (devices with an id) and -anon (without)
 * gives {"name": "balloon0", "type": "child<virtio-balloon-pci>"}; vfio devices are of type vfio-*. A vhost-vdpa netdev is
 * no qom object and no QMP query shows it: only the monitor's text "info network" does ("type=vhost-vdpa"). query-sev says
 * whether memory is encrypted. mem-lock=on is a global that no command tells; VmLck of the process does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-internal.h"

struct qmp_explore {
    unsigned step;       /* of the command under way; 0 = none yet */
    uint32_t properties; /* backend: bit per property that it has */
    char id[QMP_NAME_MAX];
    union qmp_reply reply;
};

struct qmp_explore *qmp_explore_create(const char *id) {
    struct qmp_explore *e = calloc(1, sizeof(*e));
    if (e != NULL) {
        qmp_text_copy(e->id, sizeof(e->id), id);
    }
    return e;
}

void qmp_explore_destroy(struct qmp_explore *explore) {
    free(explore);
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "child<TYPE>" -> TYPE; false: no child, or a name that fits nowhere. */
static bool child_type(const json_t *entry, char type[QMP_NAME_MAX]) {
    const char *text = json_string_value(json_object_get(entry, "type"));
    if (text == NULL || !starts_with(text, "child<") || strlen(text) >= QMP_NAME_MAX) {
        return false;
    }
    qmp_text_copy(type, QMP_NAME_MAX, text + strlen("child<"));
    type[strcspn(type, ">")] = '\0';
    return true;
}

static bool make_path(char path[QMP_PATH_MAX], const char *folder, const json_t *entry) {
    char name[QMP_NAME_MAX * 2];
    if (qmp_json_text(json_object_get(entry, "name"), name, sizeof(name)) < 0) {
        return false;
    }
    int n = snprintf(path, QMP_PATH_MAX, "%s/%s", folder, name);
    return n > 0 && (size_t) n < QMP_PATH_MAX;
}

static void note_device(struct qmp_devices *d, const char *folder, const json_t *entry) {
    char type[QMP_NAME_MAX];
    char path[QMP_PATH_MAX];
    if (!child_type(entry, type) || !make_path(path, folder, entry)) {
        return; /* not a device */
    }
    if (starts_with(type, "virtio-balloon") && d->balloon_path[0] == '\0') {
        memcpy(d->balloon_path, path, sizeof(path));
        memcpy(d->balloon_type, type, sizeof(type));
    } else if (starts_with(type, "virtio-mem")) {
        if (d->virtio_mem_count < QMP_LIST_MAX) {
            memcpy(d->virtio_mem_path[d->virtio_mem_count], path, sizeof(path));
        }
        d->virtio_mem_count++;
    } else if (starts_with(type, "vfio-")) {
        d->vfio_count++;
        d->inhibitors |= QMP_INHIBIT_VFIO;
    } else if (starts_with(type, "vhost-vdpa") || starts_with(type, "vdpa-")) {
        d->inhibitors |= QMP_INHIBIT_VDPA;
    }
}

static const char *const device_folders[] = {"/machine/peripheral", "/machine/peripheral-anon"};

static int
note_devices(struct qmp_devices *d, const char *folder, const json_t *list, struct ma_err *err) {
    if (!json_is_array(list)) {
        return ma_err_set(err, -EPROTO, "qom-list of %s gave no list", folder);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        note_device(d, folder, json_array_get(list, i));
    }
    return 0;
}

static void note_network(struct qmp_devices *d, const json_t *text) {
    if (!json_is_string(text)) {
        d->unknown |= QMP_INHIBIT_VDPA;
    } else if (strstr(json_string_value(text), "type=vhost-vdpa") != NULL) {
        d->inhibitors |= QMP_INHIBIT_VDPA;
    }
}

static void note_sev(struct qmp_devices *d, const json_t *root) {
    bool is_enabled = false;
    const json_t *value = json_object_get(root, "return");
    if (qmp_json_bool(json_object_get(value, "enabled"), &is_enabled) == 0) {
        d->inhibitors |= is_enabled ? (uint32_t) QMP_INHIBIT_SEV : 0U;
    } else if (json_object_get(root, "error") == NULL) {
        d->unknown |= QMP_INHIBIT_SEV; /* an error says that this QEMU or machine has none */
    }
}

static int
find_devices(struct qmp_client *c, struct qmp_slot *slot, const json_t *root, struct ma_err *err) {
    struct qmp_explore *e = slot->explore;
    struct qmp_devices *d = &e->reply.devices;
    const json_t *value = json_object_get(root, "return");
    int r = 0;
    if (e->step == 1 || e->step == 2) {
        r = note_devices(d, device_folders[e->step - 1], value, err);
    } else if (e->step == 3) {
        note_network(d, value);
    } else if (e->step == 4) {
        note_sev(d, root);
        return 1;
    }
    if (r < 0) {
        return r;
    }
    switch (e->step++) {
    case 0:
    case 1:
        return qmp_command_send(c, slot, "\"qom-list\",\"arguments\":{\"path\":\"%s\"}",
                                device_folders[e->step - 1]);
    case 2:
        return qmp_command_send(c, slot,
                                "\"human-monitor-command\",\"arguments\":"
                                "{\"command-line\":\"info network\"}");
    default:
        return qmp_command_send(c, slot, "\"query-sev\"");
    }
}

enum property {
    PROPERTY_TYPE,
    PROPERTY_MEM_PATH,
    PROPERTY_SHARE,
    PROPERTY_MERGE,
    PROPERTY_RESERVE,
    PROPERTY_PREALLOC,
    PROPERTY_HUGETLB,
    PROPERTY_HUGETLB_SIZE,
    PROPERTY_COUNT
};
static const char *const property_names[PROPERTY_COUNT] = {
    "type", "mem-path", "share", "merge", "reserve", "prealloc", "hugetlb", "hugetlbsize"};

static int note_properties(struct qmp_explore *e, const json_t *root, struct ma_err *err) {
    const json_t *list = json_object_get(root, "return");
    const char *desc = json_string_value(json_object_get(json_object_get(root, "error"), "desc"));
    if (!json_is_array(list)) {
        return ma_err_set(err, -EPROTO, "no properties of /objects/%s: %.200s", e->id,
                          desc != NULL ? desc : "no list");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        for (unsigned p = 0; name != NULL && p < PROPERTY_COUNT; p++) {
            e->properties |= strcmp(name, property_names[p]) == 0 ? 1U << p : 0U;
        }
    }
    return 0;
}

static void note_known(const json_t *value, enum qmp_known *ret) {
    bool b = false;
    if (qmp_json_bool(value, &b) == 0) {
        *ret = b ? QMP_YES : QMP_NO;
    }
}

/* A property that cannot be read stays unknown. */
static void note_property(struct qmp_backend *b, enum property property, const json_t *value) {
    switch (property) {
    case PROPERTY_TYPE:
        (void) qmp_json_text(value, b->type, sizeof(b->type));
        break;
    case PROPERTY_MEM_PATH:
        (void) qmp_json_text(value, b->mem_path, sizeof(b->mem_path));
        break;
    case PROPERTY_SHARE:
        note_known(value, &b->is_shared);
        break;
    case PROPERTY_MERGE:
        note_known(value, &b->is_merged);
        break;
    case PROPERTY_RESERVE:
        note_known(value, &b->is_reserved);
        break;
    case PROPERTY_PREALLOC:
        note_known(value, &b->is_preallocated);
        break;
    case PROPERTY_HUGETLB:
        note_known(value, &b->is_hugetlb);
        break;
    case PROPERTY_HUGETLB_SIZE:
        (void) qmp_json_bytes(value, &b->hugetlb_bytes);
        break;
    case PROPERTY_COUNT:
    default:
        break;
    }
}

/* Only RAM of a plain backend is certainly not on huge pages of hugetlbfs: a file may lie anywhere. */
static void conclude_backend(struct qmp_backend *b) {
    if (b->is_hugetlb == QMP_UNKNOWN && strcmp(b->type, "memory-backend-ram") == 0) {
        b->is_hugetlb = QMP_NO;
    }
}

static int
get_backend(struct qmp_client *c, struct qmp_slot *slot, const json_t *root, struct ma_err *err) {
    struct qmp_explore *e = slot->explore;
    int r = 0;
    if (e->step == 0) {
        e->step = 1;
        return qmp_command_send(c, slot, "\"qom-list\",\"arguments\":{\"path\":\"/objects/%s\"}",
                                e->id);
    }
    if (e->step == 1) {
        r = note_properties(e, root, err);
    } else {
        note_property(&e->reply.backend, (enum property)(e->step - 2),
                      json_object_get(root, "return"));
    }
    for (unsigned p = e->step - 1; r == 0 && p < PROPERTY_COUNT; p++) {
        if ((e->properties & 1U << p) != 0) {
            e->step = p + 2;
            return qmp_command_send(
                c, slot, "\"qom-get\",\"arguments\":{\"path\":\"/objects/%s\",\"property\":\"%s\"}",
                e->id, property_names[p]);
        }
    }
    conclude_backend(&e->reply.backend);
    return r < 0 ? r : 1;
}

int qmp_explore_step(struct qmp_client *c,
                     struct qmp_slot *slot,
                     const json_t *root,
                     const union qmp_reply **ret_reply,
                     struct ma_err *err) {
    (void) ma_err_set(err, -ENOBUFS, "the output queue is full");
    int r = slot->command == QMP_COMMAND_FIND_DEVICES ? find_devices(c, slot, root, err)
                                                      : get_backend(c, slot, root, err);
    if (r > 0) {
        *ret_reply = &slot->explore->reply;
    }
    return r;
}
