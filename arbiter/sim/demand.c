/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* demand.c - how much memory a guest's programs want at a time. Kinds and rates as in the study of policies: diurnal
 * over 20 min, leaks of 10-60 MiB/s, bursts of 150-1000 MiB/s, boots at 400 MiB/s, a bomb of 1.5 GiB/s. */
#include "sim-internal.h"

/* A guest that boots or comes back touches memory this fast. */
#define BOOT_RATE_BYTES_PER_S (UINT64_C(400) * MA_MIB)
#define BURST_HOLD_USEC       (UINT64_C(40) * MA_USEC_PER_SEC)
/* A leak goes on beyond the guest's memory: then the guest's own OOM killer ends it. */
#define LEAK_MAX_PERMYRIAD 12500U
/* A steady guest's level moves by up to this. */
#define NOISE_PERMYRIAD 100U
#define NOISE_USEC      (UINT64_C(10) * MA_USEC_PER_SEC)

/* (1 + sin) / 2 in permyriad, by a parabola for each half wave. */
static uint64_t wave_permyriad(uint32_t phase) {
    uint64_t half = phase & 0x7fffU;
    uint64_t arch = half * (0x8000U - half) * 4 * 5000 / (UINT64_C(0x8000) * 0x8000U);

    return phase < 0x8000U ? 5000 + arch : 5000 - arch;
}

static uint64_t between(const struct sim_guest *guest, uint64_t permyriad) {
    uint64_t base = ma_permyriad_of(guest->max_bytes, guest->class->base_permyriad);
    uint64_t peak = ma_permyriad_of(guest->max_bytes, guest->class->peak_permyriad);

    return base + ma_permyriad_of(ma_sub_floor0(peak, base), permyriad);
}

static uint64_t diurnal(const struct sim_guest *guest, uint64_t now_usec) {
    uint64_t period = guest->class->period_usec;
    uint64_t phase = ma_muldiv_sat(now_usec % period, 0x10000, period) + guest->phase;

    return between(guest, wave_permyriad((uint32_t) (phase & 0xffffU)));
}

static uint64_t bursts(const struct sim_guest *guest, uint64_t now_usec) {
    uint64_t base = between(guest, 0);
    uint64_t height = ma_sub_floor0(between(guest, MA_PERMYRIAD_FULL), base);
    uint64_t rate = guest->class->rate_bytes_per_s;
    uint64_t ramp_usec = ma_muldiv_sat(height, MA_USEC_PER_SEC, rate);
    uint64_t most = 0;

    for (uint32_t k = 0; k < guest->class->bursts; k++) {
        uint64_t since = ma_sub_floor0(now_usec, guest->burst_usec[k]);
        uint64_t down = ma_sub_floor0(since, ramp_usec + BURST_HOLD_USEC);
        uint64_t up = ma_min_u64(height, ma_muldiv_sat(rate, since, MA_USEC_PER_SEC));

        most = ma_max_u64(most, ma_sub_floor0(up, ma_muldiv_sat(rate, down, MA_USEC_PER_SEC)));
    }
    return base + most;
}

static uint64_t steady(const struct sim_guest *guest, uint64_t now_usec) {
    uint64_t level = between(guest, guest->level_permyriad);
    uint64_t mixed = guest->random + now_usec / NOISE_USEC;

    return level + ma_permyriad_of(level, sim_random_below(&mixed, NOISE_PERMYRIAD));
}

static uint64_t growing(const struct sim_guest *guest, uint64_t start_usec, uint64_t now_usec) {
    uint64_t since = ma_sub_floor0(now_usec, start_usec);

    return between(guest, 0) +
           ma_muldiv_sat(guest->class->rate_bytes_per_s, since, MA_USEC_PER_SEC);
}

/* Without the ramp of its boot. */
static uint64_t wanted(const struct sim_guest *guest, uint64_t now_usec) {
    uint64_t start = ma_max_u64(SIM_EPOCH_USEC + guest->class->start_usec, guest->origin_usec);

    switch (guest->class->demand) {
    case SIM_DEMAND_DIURNAL:
        return diurnal(guest, now_usec);
    case SIM_DEMAND_LEAK:
        return ma_min_u64(growing(guest, start, now_usec),
                          ma_permyriad_of(guest->max_bytes, LEAK_MAX_PERMYRIAD));
    case SIM_DEMAND_BURSTS:
        return bursts(guest, now_usec);
    case SIM_DEMAND_BOMB:
        return ma_min_u64(growing(guest, start, now_usec), between(guest, MA_PERMYRIAD_FULL));
    case SIM_DEMAND_IDLE:
        return between(guest, 0);
    case SIM_DEMAND_STEADY:
    case SIM_DEMAND_BOOT:
    case SIM_DEMAND_COUNT:
        break;
    }
    return steady(guest, now_usec);
}

uint64_t sim_demand_bytes(const struct sim_world *world, struct sim_guest *guest) {
    uint64_t up = ma_muldiv_sat(
        BOOT_RATE_BYTES_PER_S, ma_sub_floor0(world->now_usec, guest->booted_usec), MA_USEC_PER_SEC);
    uint64_t demand = ma_min_u64(wanted(guest, world->now_usec), up + MA_MIB);

    /* Its own OOM killer ended its largest program a minute ago or less. */
    if (world->now_usec < guest->calm_until_usec) {
        demand = ma_min_u64(demand, guest->room_bytes / 2);
    }
    return demand;
}
