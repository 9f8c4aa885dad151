/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decode-memory.c - replies about memory backends and memory devices. An entry that is not understood fails the whole
 * reply: half a list would look like a guest with less memory. */
#include <errno.h>
#include <string.h>

#include "decode.h"

static int wrong(struct ma_err *err, size_t index, const char *field) {
    return ma_err_set(err, -EPROTO, "entry %zu: \"%s\" is missing or of a wrong kind", index,
                      field);
}

int qmp_decode_memory_size(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    struct qmp_memory_size *m = &reply->memory_size;
    const json_t *plugged = json_object_get(value, "plugged-memory");
    if (qmp_json_bytes(json_object_get(value, "base-memory"), &m->base_bytes) < 0) {
        return ma_err_set(err, -EPROTO, "\"base-memory\" is missing or of a wrong kind");
    }
    m->plugged_bytes = 0;
    if (plugged != NULL && qmp_json_bytes(plugged, &m->plugged_bytes) < 0) {
        return ma_err_set(err, -EPROTO, "\"plugged-memory\" is of a wrong kind");
    }
    return 0;
}

static enum qmp_mem_policy policy_of(const char *name) {
    static const char *const names[] = {"", "default", "preferred", "bind", "interleave"};
    for (unsigned i = QMP_MEM_POLICY_DEFAULT; i <= QMP_MEM_POLICY_INTERLEAVE; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum qmp_mem_policy) i;
        }
    }
    return QMP_MEM_POLICY_OTHER;
}

static int decode_nodes(const json_t *nodes, struct qmp_memdev *ret) {
    if (!json_is_array(nodes)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        uint64_t node = 0;
        if (qmp_json_u64(json_array_get(nodes, i), UINT32_MAX, &node) < 0) {
            return -EINVAL;
        }
        if (node < QMP_NODES_MAX) {
            ret->host_nodes |= UINT64_C(1) << node;
        } else {
            ret->has_more_nodes = true;
        }
    }
    return 0;
}

static int
decode_memdev(const json_t *v, size_t index, struct qmp_memdev *ret, struct ma_err *err) {
    char policy[QMP_NAME_MAX];
    memset(ret, 0, sizeof(*ret));
    /* Backends inside the machine may have no id. */
    (void) qmp_json_text(json_object_get(v, "id"), ret->id, sizeof(ret->id));
    if (qmp_json_bytes(json_object_get(v, "size"), &ret->size_bytes) < 0) {
        return wrong(err, index, "size");
    }
    if (qmp_json_text(json_object_get(v, "policy"), policy, sizeof(policy)) < 0) {
        return wrong(err, index, "policy");
    }
    ret->policy = policy_of(policy);
    if (qmp_json_bool(json_object_get(v, "prealloc"), &ret->is_preallocated) < 0) {
        return wrong(err, index, "prealloc");
    }
    if (qmp_json_bool(json_object_get(v, "share"), &ret->is_shared) < 0) {
        return wrong(err, index, "share");
    }
    return decode_nodes(json_object_get(v, "host-nodes"), ret) < 0 ? wrong(err, index, "host-nodes")
                                                                   : 0;
}

int qmp_decode_memdevs(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    struct qmp_memdevs *list = &reply->memdevs;
    struct qmp_memdev beyond;
    if (!json_is_array(value)) {
        return ma_err_set(err, -EPROTO, "\"return\" is not a list");
    }
    list->count = (uint32_t) json_array_size(value);
    for (size_t i = 0; i < list->count; i++) {
        struct qmp_memdev *slot = i < QMP_LIST_MAX ? &list->item[i] : &beyond;
        int r = decode_memdev(json_array_get(value, i), i, slot, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static enum qmp_memory_device_kind kind_of(const char *name) {
    static const char *const names[] = {"", "dimm", "nvdimm", "virtio-pmem", "virtio-mem"};
    for (unsigned i = QMP_MEMORY_DEVICE_DIMM; i <= QMP_MEMORY_DEVICE_VIRTIO_MEM; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum qmp_memory_device_kind) i;
        }
    }
    return QMP_MEMORY_DEVICE_OTHER;
}

static int decode_virtio_mem(const json_t *data,
                             size_t index,
                             struct qmp_memory_device *ret,
                             struct ma_err *err) {
    if (qmp_json_bytes(json_object_get(data, "requested-size"), &ret->requested_bytes) < 0) {
        return wrong(err, index, "requested-size");
    }
    if (qmp_json_bytes(json_object_get(data, "max-size"), &ret->max_bytes) < 0) {
        return wrong(err, index, "max-size");
    }
    if (qmp_json_bytes(json_object_get(data, "block-size"), &ret->block_bytes) < 0 ||
        ret->block_bytes == 0) {
        return wrong(err, index, "block-size");
    }
    return 0;
}

static int decode_memory_device(const json_t *v,
                                size_t index,
                                struct qmp_memory_device *ret,
                                struct ma_err *err) {
    const json_t *data = json_object_get(v, "data");
    char kind[QMP_NAME_MAX];
    memset(ret, 0, sizeof(*ret));
    ret->node = -1;
    if (qmp_json_text(json_object_get(v, "type"), kind, sizeof(kind)) < 0) {
        return wrong(err, index, "type");
    }
    if (!json_is_object(data)) {
        return wrong(err, index, "data");
    }
    ret->kind = kind_of(kind);
    (void) qmp_json_text(json_object_get(data, "id"), ret->id, sizeof(ret->id));
    (void) qmp_json_text(json_object_get(data, "memdev"), ret->memdev, sizeof(ret->memdev));
    (void) qmp_json_i64(json_object_get(data, "node"),
                        &ret->node); /* stays -1: not every kind has one */
    int r = qmp_json_bytes(json_object_get(data, "size"), &ret->size_bytes);
    /* A kind of a later QEMU may have none (sgx-epc has). */
    if (r < 0 && !(r == -ENOENT && ret->kind == QMP_MEMORY_DEVICE_OTHER)) {
        return wrong(err, index, "size");
    }
    return ret->kind == QMP_MEMORY_DEVICE_VIRTIO_MEM ? decode_virtio_mem(data, index, ret, err) : 0;
}

int qmp_decode_memory_devices(const json_t *value, union qmp_reply *reply, struct ma_err *err) {
    struct qmp_memory_devices *list = &reply->memory_devices;
    struct qmp_memory_device beyond;
    if (!json_is_array(value)) {
        return ma_err_set(err, -EPROTO, "\"return\" is not a list");
    }
    list->count = (uint32_t) json_array_size(value);
    for (size_t i = 0; i < list->count; i++) {
        struct qmp_memory_device *slot = i < QMP_LIST_MAX ? &list->item[i] : &beyond;
        int r = decode_memory_device(json_array_get(value, i), i, slot, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
