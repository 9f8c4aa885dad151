/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* pins.h - the pin ledger's judgement: what a guest pins, measured against RLIMIT_MEMLOCK, memarb's own limit and the
 * figure that libvirt would set. Pure. Bytes; MA_PINS_UNLIMITED is RLIM_INFINITY. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MA_PINS_UNLIMITED UINT64_MAX

/* What a limit of locked memory depends on. */
struct ma_pin_devices {
    bool is_known; /* a definition, or arguments and descriptors, were read */
    bool is_libvirts;
    bool is_locked;  /* <locked/>, mem-lock=on */
    bool has_viommu; /* then each VFIO device accounts for all memory by itself */
    /* PCI and mediated host devices, interfaces of type hostdev, NVMe disks that QEMU drives */
    uint32_t n_vfio;
    uint32_t n_nvme;           /* of n_vfio: the disks, each of which maps all memory for itself */
    uint32_t n_vdpa;           /* vDPA interfaces */
    uint64_t hard_limit_bytes; /* memtune's hard_limit; 0: none */
    uint64_t total_bytes;      /* RAM, DIMMs, and virtio-mem at its largest */
    uint64_t max_bytes; /* with all memory that may be plugged in yet; 0: no more than that */
};

/* What libvirt sets RLIMIT_MEMLOCK to: 0 where it leaves it alone.
 * Source: libvirt 9.0.0 src/qemu/qemu_domain.c qemuDomainGetMemLockLimitBytes(), for x86. */
uint64_t ma_pins_libvirt_bytes(const struct ma_pin_devices *devices);

enum ma_pin_flag {
    MA_PIN_OVER_LIMIT = 1U << 0,  /* it pins more than memarb's own limit */
    MA_PIN_OVER_RLIMIT = 1U << 1, /* its account passes RLIMIT_MEMLOCK: lowered since, or void */
    MA_PIN_LIMIT_VOID = 1U << 2,  /* CAP_IPC_LOCK: the kernel does not look at the limit */
    MA_PIN_UNLIMITED = 1U << 3,   /* RLIMIT_MEMLOCK is unlimited */
    MA_PIN_BEYOND_RAM = 1U << 4,  /* RLIMIT_MEMLOCK, or memarb's limit, is more than the host has */
    MA_PIN_BELOW_LIBVIRT = 1U << 5, /* RLIMIT_MEMLOCK is less than what libvirt would set */
    MA_PIN_ABOVE_LIBVIRT = 1U << 6, /* more than what libvirt would set */
    MA_PIN_LIMIT_BELOW_NEED =
        1U << 7, /* memarb's limit cannot be set: a mapping would fail later */
};
#define MA_PIN_FLAG_COUNT 8
/* "over-limit", ...; index is the bit. */
const char *ma_pin_flag_name(unsigned index);

struct ma_pin_input {
    struct ma_pin_devices devices;
    uint64_t pinned_bytes; /* unmovable, as ma_unmovable_bytes() has it */
    /* what the kernel compares with the limit: the greater of VmLck and VmPin */
    uint64_t account_bytes;
    bool has_limit;
    uint64_t limit_bytes; /* memarb's own: PinLimit= or metadata */
    bool has_rlimit;
    uint64_t rlimit_bytes; /* MA_PINS_UNLIMITED: none */
    bool is_rlimit_ours;   /* memarb has set it: no disagreement of anybody */
    bool has_ipc_lock;     /* CAP_IPC_LOCK effective in QEMU */
    uint64_t host_total_bytes;
};
struct ma_pin_verdict {
    uint32_t flags;         /* enum ma_pin_flag */
    uint64_t libvirt_bytes; /* 0: it leaves the limit alone, or nothing is known */
    /* RLIMIT_MEMLOCK below which a mapping may fail and QEMU abort; MA_PINS_UNLIMITED: no limit is safe. */
    uint64_t floor_bytes;
    bool has_target; /* memarb's limit can be set, to target_bytes: never below floor_bytes */
    uint64_t target_bytes;
    uint64_t may_pin_bytes; /* the most that is expected of it: counted against the budget */
};
void ma_pins_judge(const struct ma_pin_input *in, struct ma_pin_verdict *ret);

/* What of a guest's pinned bytes is on one node, where `part` of its `whole` resident bytes are. */
uint64_t ma_pins_on_node(uint64_t pinned_bytes, uint64_t part, uint64_t whole);
