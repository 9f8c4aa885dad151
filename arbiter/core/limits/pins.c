/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pins.c - three limits meet on what a guest may pin: the kernel's (RLIMIT_MEMLOCK), libvirt's (the same, by a formula
 * of its own) and the operator's (PinLimit=). This file says where they disagree, and how low memarb may go.
 *
 * libvirt's formula, 9.0.0 qemuDomainGetMemLockLimitBytes():
 *   hard_limit set      hard_limit
 *   <locked/>           unlimited: nobody can tell what QEMU allocates for itself
 *   VFIO or vDPA        factor x total + 1 GiB; factor = vDPA interfaces + (VFIO ? (vIOMMU ? VFIO devices : 1) : 0)
 *   else                left alone
 * total is RAM, DIMMs and virtio-mem at its largest. NVMe disks count as VFIO devices.
 *
 * The floor: a limit that is lower breaks nothing at once, for what is pinned stays pinned. It breaks the next mapping:
 * a reboot maps all RAM anew, a DIMM or virtio-mem adds to it, and QEMU 7.2 aborts when that fails (hw/vfio/common.c
 * vfio_listener_region_add(): hw_error). So memarb never goes below any of
 *   I1  libvirt's figure for the present devices
 *   I2  the same with all the memory that may still be plugged in
 *   I3  what is accounted now
 *   I4  for locked memory: all RAM and GROWTH_BYTES for QEMU itself; on libvirt's guests there is no limit then (I1)
 *   I5  what QEMU itself maps: a container for all host devices, and one more for each NVMe disk (util/vfio-helpers.c), which
 *       later versions of libvirt count, too
 * Rejected: a limit below the floor "to be strict". It is no refusal of a device, it is an abort some time later; who
 * wants a device refused refuses it before the start. */
#include "pins.h"

#include "bytes.h"

/* libvirt's guess for MMIO and everything else that is mapped for DMA (qemu_domain.c, same function). */
#define MMIO_BYTES MA_GIB
/* With mem-lock=on everything that QEMU allocates is locked: threads, queues, displays. Too small: an allocation of
 * QEMU's own fails and it aborts; too large: bounds less. A guess, as libvirt's MMIO allowance. */
#define GROWTH_BYTES MA_GIB

static const char *const flag_names[MA_PIN_FLAG_COUNT] = {
    "over-limit", "over-rlimit",   "limit-void",    "unlimited",
    "beyond-ram", "below-libvirt", "above-libvirt", "limit-below-need",
};

const char *ma_pin_flag_name(unsigned index) {
    return index < MA_PIN_FLAG_COUNT ? flag_names[index] : "?";
}

static uint64_t for_devices(const struct ma_pin_devices *d, uint64_t memory_bytes) {
    if (d->n_vfio == 0 && d->n_vdpa == 0) {
        return 0;
    }
    uint64_t for_vfio = d->n_vfio == 0 ? 0 : (d->has_viommu ? d->n_vfio : 1);
    uint64_t factor = ma_add_sat(d->n_vdpa, for_vfio);
    return ma_add_sat(ma_mul_sat(factor, memory_bytes), MMIO_BYTES);
}

uint64_t ma_pins_libvirt_bytes(const struct ma_pin_devices *d) {
    if (!d->is_known) {
        return 0;
    }
    if (d->hard_limit_bytes > 0) {
        return d->hard_limit_bytes;
    }
    return d->is_locked ? MA_PINS_UNLIMITED : for_devices(d, d->total_bytes);
}

static uint64_t for_containers(const struct ma_pin_devices *d, uint64_t memory_bytes) {
    uint64_t hosts = ma_sub_floor0(d->n_vfio, d->n_nvme);
    uint64_t factor =
        ma_add_sat(ma_add_sat(d->n_vdpa, d->n_nvme), d->has_viommu || hosts == 0 ? hosts : 1);
    return factor == 0 ? 0 : ma_add_sat(ma_mul_sat(factor, memory_bytes), MMIO_BYTES);
}

static uint64_t most_memory(const struct ma_pin_devices *d) {
    return ma_max_u64(d->total_bytes, d->max_bytes);
}

static uint64_t floor_of(const struct ma_pin_input *in) {
    const struct ma_pin_devices *d = &in->devices;
    uint64_t floor = ma_max_u64(for_devices(d, most_memory(d)), for_containers(d, most_memory(d)));
    if (d->is_libvirts) {
        floor = ma_max_u64(floor, ma_pins_libvirt_bytes(d));
    } else if (d->is_locked) {
        /* Once it is set the room is not given a second time: it would follow a bomb up. */
        uint64_t there = in->is_rlimit_ours ? 0 : in->account_bytes;
        uint64_t ram = ma_max_u64(most_memory(d), there);
        floor = ma_max_u64(floor, ma_add_sat(ram, GROWTH_BYTES));
    }
    return ma_max_u64(floor, in->account_bytes);
}

static uint32_t if_set(bool is_set, enum ma_pin_flag flag) {
    return is_set ? (uint32_t) flag : 0U;
}

static uint32_t flags_of_rlimit(const struct ma_pin_input *in, uint64_t libvirt_bytes) {
    if (!in->has_rlimit) {
        return 0;
    }
    bool is_unlimited = in->rlimit_bytes == MA_PINS_UNLIMITED;
    bool has_said = libvirt_bytes != 0 && in->devices.is_libvirts;
    return if_set(is_unlimited, MA_PIN_UNLIMITED) |
           if_set(!is_unlimited && in->rlimit_bytes > in->host_total_bytes, MA_PIN_BEYOND_RAM) |
           if_set(in->account_bytes > in->rlimit_bytes, MA_PIN_OVER_RLIMIT) |
           if_set(has_said && in->rlimit_bytes < libvirt_bytes, MA_PIN_BELOW_LIBVIRT) |
           if_set(has_said && in->rlimit_bytes > libvirt_bytes && !in->is_rlimit_ours,
                  MA_PIN_ABOVE_LIBVIRT);
}

static uint64_t may_pin(const struct ma_pin_input *in) {
    const struct ma_pin_devices *d = &in->devices;
    bool pins_all = d->n_vfio > 0 || d->n_vdpa > 0 || d->is_locked;
    uint64_t most = pins_all ? ma_max_u64(in->pinned_bytes, d->total_bytes) : in->pinned_bytes;
    return ma_min_u64(most, MA_BYTES_MAX);
}

void ma_pins_judge(const struct ma_pin_input *in, struct ma_pin_verdict *ret) {
    struct ma_pin_verdict v = {.libvirt_bytes = ma_pins_libvirt_bytes(&in->devices),
                               .floor_bytes = floor_of(in),
                               .may_pin_bytes = may_pin(in)};
    v.flags = flags_of_rlimit(in, v.libvirt_bytes) | if_set(in->has_ipc_lock, MA_PIN_LIMIT_VOID) |
              if_set(in->has_limit && in->pinned_bytes > in->limit_bytes, MA_PIN_OVER_LIMIT) |
              if_set(in->has_limit && in->limit_bytes > in->host_total_bytes, MA_PIN_BEYOND_RAM) |
              if_set(in->has_limit && in->devices.is_known && in->limit_bytes < v.floor_bytes,
                     MA_PIN_LIMIT_BELOW_NEED);
    v.has_target = in->has_limit && in->devices.is_known && v.floor_bytes != MA_PINS_UNLIMITED;
    v.target_bytes = v.has_target ? ma_max_u64(in->limit_bytes, v.floor_bytes) : 0;
    *ret = v;
}

uint64_t ma_pins_on_node(uint64_t pinned_bytes, uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : ma_min_u64(ma_muldiv_sat(pinned_bytes, part, whole), part);
}
