/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process-identity.c - what a QEMU's arguments say of it. Pure.
 *
 * Arguments are hints: they tell what QEMU was started with, not what was plugged in since; proofs are its open
 * descriptors and its counters (process-devices.c, status). Options come as "-name X", "--name X" or, from libvirt,
 * as JSON objects behind -object and -device; both forms of a word are looked for. Reading them is total: any text in
 * any order, a value missing, an argument cut at 4 KiB. Doubt counts as inhibited: a balloon left out costs a gain,
 * one counted on in vain costs a guest. */
#include <ctype.h>
#include <string.h>

#include "bytes.h"
#include "ktext.h"
#include "process.h"
#include "snapshot.h"

enum expected {
    EXPECT_OPTION,
    EXPECT_NAME,
    EXPECT_UUID,
    EXPECT_OVERCOMMIT,
    EXPECT_MEM_PATH,
    EXPECT_OBJECT,
    EXPECT_DEVICE,
    EXPECT_NETDEV,
    EXPECT_MEMORY,
    EXPECT_OTHER, /* an option whose value says nothing to us */
};

static enum expected expected_after(const char *option) {
    static const struct {
        const char *name;
        enum expected expect;
    } options[] = {
        {"name", EXPECT_NAME},
        {"uuid", EXPECT_UUID},
        {"overcommit", EXPECT_OVERCOMMIT},
        {"realtime", EXPECT_OVERCOMMIT},
        {"mem-path", EXPECT_MEM_PATH},
        {"object", EXPECT_OBJECT},
        {"device", EXPECT_DEVICE},
        {"netdev", EXPECT_NETDEV},
        {"blockdev", EXPECT_NETDEV},
        {"m", EXPECT_MEMORY},
        {"memory", EXPECT_MEMORY},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(option, options[i].name) == 0) {
            return options[i].expect;
        }
    }
    return EXPECT_OTHER;
}

/* The value of KEY in "a,KEY=v,b" or of "KEY":v in JSON; its length in *ret_n. The first item of a list that is not
 * JSON may stand without a key (QEMU's implied option). NULL: not there. */
static const char *find_value(const char *text, const char *key, size_t *ret_n) {
    size_t n = strlen(key);
    bool is_json = text[0] == '{';
    for (const char *p = strstr(text, key); p != NULL; p = strstr(p + 1, key)) {
        char before = p == text ? ',' : p[-1];
        const char *value = p + n;
        if (is_json && before == '"' && value[0] == '"' && value[1] == ':') {
            value += 2;
            value += *value == '"' ? 1 : 0;
            *ret_n = strcspn(value, "\",}");
            return value;
        }
        if (!is_json && before == ',' && *value == '=') {
            *ret_n = strcspn(value + 1, ",");
            return value + 1;
        }
    }
    return NULL;
}

static bool is_word(const char *value, size_t n, const char *word) {
    return value != NULL && n == strlen(word) && memcmp(value, word, n) == 0;
}

static bool is_on(const char *text, const char *key) {
    size_t n = 0;
    const char *v = find_value(text, key, &n);
    return is_word(v, n, "on") || is_word(v, n, "yes") || is_word(v, n, "true") ||
           is_word(v, n, "y");
}

/* The kind of an object or a device: the implied first item, or the key's value. */
static const char *kind_of(const char *text, const char *key, const char *json_key, size_t *ret_n) {
    if (text[0] == '{') {
        return find_value(text, json_key, ret_n);
    }
    size_t first = strcspn(text, ",=");
    if (text[first] != '=') {
        *ret_n = first;
        return text;
    }
    return find_value(text, key, ret_n);
}

static bool begins(const char *value, size_t n, const char *word) {
    size_t len = strlen(word);
    return value != NULL && n >= len && memcmp(value, word, len) == 0;
}

/* A huge page mount by its usual name: /dev/hugepages, /dev/hugepages1G, /run/hugepages/kvm, /mnt/huge. */
static bool is_huge_path(const char *path, size_t n) {
    for (size_t i = 0; i + 5 <= n; i++) {
        if (memcmp(path + i, "/huge", 5) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t inhibitor_of_object(const char *text) {
    size_t n = 0;
    const char *kind = kind_of(text, "qom-type", "qom-type", &n);
    if (begins(kind, n, "sev-") || begins(kind, n, "tdx-guest") ||
        begins(kind, n, "s390-pv-guest")) {
        return MA_INHIBITOR_CONFIDENTIAL;
    }
    if (!begins(kind, n, "memory-backend-")) {
        return 0;
    }
    const char *path = find_value(text, "mem-path", &n);
    bool is_huge = is_on(text, "hugetlb") || (path != NULL && is_huge_path(path, n));
    return is_huge ? MA_INHIBITOR_HUGEPAGES : 0U;
}

/* vfio-ap and vfio-ccw let pages be discarded (QEMU 7.2 hw/vfio/ap.c, ccw.c: ram_block_discard_allowed). */
static uint32_t inhibitor_of_device(const char *text) {
    size_t n = 0;
    const char *kind = kind_of(text, "driver", "driver", &n);
    if (begins(kind, n, "vhost-vdpa")) {
        return MA_INHIBITOR_VDPA;
    }
    bool is_vfio =
        begins(kind, n, "vfio-") && !begins(kind, n, "vfio-ap") && !begins(kind, n, "vfio-ccw");
    return is_vfio ? MA_INHIBITOR_VFIO : 0U;
}

static bool is_viommu(const char *text) {
    size_t n = 0;
    const char *kind = kind_of(text, "driver", "driver", &n);
    return is_word(kind, n, "intel-iommu") || is_word(kind, n, "amd-iommu") ||
           begins(kind, n, "virtio-iommu");
}

/* -m 4G,slots=2,maxmem=16G: bytes without a suffix. What cannot be read is 0, as if it was not there. */
static uint64_t max_memory(const char *text) {
    static const char suffixes[] = "kmgt";
    size_t n = 0;
    const char *p = find_value(text, "maxmem", &n);
    uint64_t v = 0;
    if (p == NULL || !ma_ktext_u64(&p, &v)) {
        return 0;
    }
    const char *at = *p != '\0' ? strchr(suffixes, tolower((unsigned char) *p)) : NULL;
    for (const char *s = suffixes; at != NULL && s <= at; s++) {
        v = ma_mul_sat(v, 1024);
    }
    return v <= MA_BYTES_MAX ? v : 0;
}

/* -netdev vhost-vdpa, -blockdev nvme (QEMU's own NVMe driver is a VFIO user). */
static uint32_t inhibitor_of_backend(const char *text) {
    size_t n = 0;
    const char *kind = kind_of(text, "type", "type", &n);
    if (is_word(kind, n, "vhost-vdpa")) {
        return MA_INHIBITOR_VDPA;
    }
    kind = find_value(text, "driver", &n);
    return is_word(kind, n, "nvme") ? MA_INHIBITOR_VFIO : 0U;
}

/* "guest=NAME,debug-threads=on", "NAME,process=x", "NAME"; ",," stands for a comma. */
static void take_name(struct ma_process_identity *id, const char *text) {
    size_t ignored;
    const char *p = find_value(text, "guest", &ignored);
    p = p != NULL ? p : text;
    size_t n = 0;
    for (; *p != '\0' && n + 1 < sizeof(id->name); p++) {
        if (*p == ',' && *++p != ',') {
            break;
        }
        id->name[n++] = *p;
    }
    id->name[n] = '\0';
}

static void take_uuid(struct ma_process_identity *id, const char *text) {
    char lower[37];
    size_t n = strlen(text);
    if (n != 36) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        unsigned char c = (unsigned char) text[i];
        if (is_dash ? c != '-' : isxdigit(c) == 0) {
            return;
        }
        lower[i] = (char) tolower(c);
    }
    lower[n] = '\0';
    memcpy(id->uuid, lower, sizeof(lower));
}

static void take_value(struct ma_process_identity *id, enum expected what, const char *text) {
    switch (what) {
    case EXPECT_NAME:
        take_name(id, text);
        break;
    case EXPECT_UUID:
        take_uuid(id, text);
        break;
    case EXPECT_OVERCOMMIT:
        if (is_on(text, "mem-lock") || is_on(text, "mlock")) {
            id->is_mem_locked = true;
            id->inhibited_by |= MA_INHIBITOR_LOCKED;
        }
        break;
    case EXPECT_MEM_PATH:
        id->inhibited_by |= is_huge_path(text, strlen(text)) ? MA_INHIBITOR_HUGEPAGES : 0U;
        break;
    case EXPECT_OBJECT:
        id->inhibited_by |= inhibitor_of_object(text);
        break;
    case EXPECT_DEVICE:
        id->inhibited_by |= inhibitor_of_device(text);
        id->has_viommu = id->has_viommu || is_viommu(text);
        break;
    case EXPECT_MEMORY:
        id->max_memory_bytes = ma_max_u64(id->max_memory_bytes, max_memory(text));
        break;
    case EXPECT_NETDEV:
        id->inhibited_by |= inhibitor_of_backend(text);
        break;
    case EXPECT_OPTION:
    case EXPECT_OTHER:
        break;
    }
}

static void take_argv0(struct ma_process_identity *id, const char *text) {
    const char *base = strrchr(text, '/');
    base = base != NULL ? base + 1 : text;
    size_t n = strnlen(base, sizeof(id->exe) - 1);
    memcpy(id->exe, base, n);
    id->exe[n] = '\0';
    id->has_argv0 = true;
}

int ma_process_argument_parse(void *userdata, const char *argument) {
    struct ma_process_identity *id = userdata;
    if (!id->has_argv0) {
        take_argv0(id, argument);
        return 0;
    }
    enum expected what = (enum expected) id->expect;
    if (what != EXPECT_OPTION && what != EXPECT_OTHER) {
        id->expect = EXPECT_OPTION;
        take_value(id, what, argument);
        return 0;
    }
    id->expect = EXPECT_OPTION;
    if (argument[0] == '-' && argument[1] != '\0') {
        id->expect = expected_after(argument + (argument[1] == '-' ? 2 : 1));
    }
    return 0;
}
