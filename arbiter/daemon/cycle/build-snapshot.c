/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* build-snapshot.c - what the sources said and the host measured, as the figures of one moment.
 *
 * Trust: what the host measured (process, cgroup) stands; what the guest claims (balloon's actual, statistics) is
 * bounded by it; what is older than its source can explain carries its age, and the core decides what is stale. */

#include "build-snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "log.h"
#include "options.h"

/* A guest younger than this is starting: firmware, kernel and balloon driver are on their way. Too short: a boot is
 * taken for growth and a driver that is not there yet for a stuck one; too long: a bomb hides in its boot. Boots of
 * small guests take 3-10 s. Guess. */
#define STARTING_USEC (10 * MA_USEC_PER_SEC)
/* After a reboot the balloon says its old figure until the new driver is there (8.6 s seen under emulation). */
#define RESET_MAX_USEC (20 * MA_USEC_PER_SEC)

int ma_snapshot_builder_init(struct ma_snapshot_builder *builder, size_t max) {
    *builder =
        (struct ma_snapshot_builder){.max = max, .shutdown_timeout_usec = MA_SHUTDOWN_TIMEOUT_USEC};
    builder->guests = calloc(max > 0 ? max : 1, sizeof(*builder->guests));
    return builder->guests == NULL ? -ENOMEM : 0;
}

void ma_snapshot_builder_fini(struct ma_snapshot_builder *builder) {
    free(builder->guests);
    *builder = (struct ma_snapshot_builder){0};
}

static void set(uint32_t *has, uint32_t bit, uint64_t *field, uint64_t value) {
    *has |= bit;
    *field = ma_min_u64(value, MA_BYTES_MAX);
}

static bool is_balloon_empty_after_reset(const struct ma_tracked *t, uint64_t now_usec) {
    if (t->reset_usec == 0 || now_usec >= t->reset_usec + RESET_MAX_USEC) {
        return false;
    }
    bool driver_is_back = (t->figures.stats.has & MA_STATS_HAS_AGE) != 0 &&
                          t->stats_taken_usec >= t->reset_usec + t->figures.stats.age_usec;
    return !driver_is_back;
}

static enum ma_guest_state run_state(const struct ma_tracked *t, uint64_t now_usec) {
    enum ma_guest_state state = t->has_state ? t->state : MA_GUEST_STARTING;
    bool is_young = t->started_usec != 0 && now_usec < t->started_usec + STARTING_USEC;
    if (t->is_killed) {
        return MA_GUEST_SHUTTING_DOWN; /* one that cannot die is no victim a second time: the next one is */
    }
    return state == MA_GUEST_RUNNING && is_young ? MA_GUEST_STARTING : state;
}

static void fill_host_figures(const struct ma_tracked *t, uint64_t now_usec, struct ma_guest *g) {
    if (t->sampled_usec == 0) {
        return;
    }
    set(&g->has, MA_GUEST_HAS_AGE, &g->sampled_age_usec, ma_sub_floor0(now_usec, t->sampled_usec));
    set(&g->has, MA_GUEST_HAS_RESIDENT, &g->resident_bytes, t->resident_bytes);
    set(&g->has, MA_GUEST_HAS_SWAP, &g->swap_bytes, t->swap_bytes);
    if (t->hugepage_bytes > 0) {
        set(&g->has, MA_GUEST_HAS_HUGEPAGES, &g->hugepage_bytes, t->hugepage_bytes);
    }
    set(&g->has, MA_GUEST_HAS_PINNED, &g->pinned_bytes, t->pinned_bytes);
    uint64_t memlock = t->pins.memlock.soft_bytes;
    if (t->pins.has_memlock && memlock > MA_BYTES_MAX) {
        g->has |= MA_GUEST_HAS_MEMLOCK_UNLIMITED;
        g->is_memlock_unlimited = true;
    } else if (t->pins.has_memlock) {
        set(&g->has, MA_GUEST_HAS_MEMLOCK_LIMIT, &g->memlock_limit_bytes, memlock);
    }
    if (t->has_growth) {
        g->has |= MA_GUEST_HAS_GROWTH;
        g->growth_bytes_per_s = t->growth_bytes_per_s;
    }
    if (t->has_cpu) {
        g->has |= MA_GUEST_HAS_CPU;
        g->cpu_permyriad_of_vcpus = t->cpu_permyriad;
    }
    if (t->io.has_permyriad) {
        g->has |= MA_GUEST_HAS_IO;
        g->io_permyriad_of_p95 = t->io.permyriad;
    }
    g->nodes = t->nodes;
    g->n_nodes = t->n_nodes;
}

static uint32_t inhibitors(const struct ma_tracked *t, uint64_t now_usec) {
    uint32_t by = t->inhibited_by[MA_ORIGIN_LIBVIRT] | t->inhibited_by[MA_ORIGIN_QMP] |
                  t->inhibited_by_process;
    if (t->is_locked_by_arguments) {
        by |= MA_INHIBITOR_LOCKED;
    }
    if (t->hugepage_bytes > 0) {
        by |= MA_INHIBITOR_HUGEPAGES;
    }
    if (is_balloon_empty_after_reset(t, now_usec)) {
        by |= MA_INHIBITOR_STARTING;
    }
    return by;
}

static void fill_balloon(const struct ma_tracked *t,
                         const struct ma_guest_memory *memory,
                         uint64_t now_usec,
                         struct ma_guest *g) {
    if (!t->has_facts) {
        return;
    }
    struct ma_balloon *b = &g->balloon;
    b->has |= MA_BALLOON_HAS_STATE | MA_BALLOON_HAS_INHIBITED_BY;
    b->inhibited_by = inhibitors(t, now_usec);
    b->state = MA_BALLOON_READY;
    if (!t->facts.has_balloon) {
        b->state = MA_BALLOON_ABSENT;
    } else if (b->inhibited_by != 0) {
        b->state = MA_BALLOON_INHIBITED;
    } else if (memory != NULL && memory->cooperation == MA_COOPERATION_STUCK) {
        b->state = MA_BALLOON_UNCOOPERATIVE;
    }
    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        set(&b->has, MA_BALLOON_HAS_TARGET, &b->target_bytes, memory->balloon_ours_bytes);
    }
    if (memory != NULL && memory->rate_bytes_per_s > 0) {
        set(&b->has, MA_BALLOON_HAS_RATE, &b->rate_bytes_per_s, memory->rate_bytes_per_s);
    }
}

static void fill_figures(const struct ma_tracked *t, uint64_t now_usec, struct ma_guest *g) {
    if (t->has_facts && t->facts.max_bytes > 0) {
        set(&g->has, MA_GUEST_HAS_MAX, &g->max_bytes, t->facts.max_bytes);
    }
    if (!t->has_figures) {
        return;
    }
    if (t->figures.has_actual && !t->figures.is_actual_absurd) {
        uint64_t actual = is_balloon_empty_after_reset(t, now_usec) && t->facts.max_bytes > 0
                              ? t->facts.max_bytes
                              : t->figures.actual_bytes;
        set(&g->has, MA_GUEST_HAS_ACTUAL, &g->actual_bytes, actual);
    }
    g->stats = t->figures.stats;
    if ((g->stats.has & MA_STATS_HAS_AGE) != 0) {
        g->stats.age_usec =
            ma_add_sat(g->stats.age_usec, ma_sub_floor0(now_usec, t->stats_taken_usec));
    }
    g->virtio_mem = t->figures.virtio_mem;
}

/* While the agent's word is fresh it stands for the balloon's statistics, whose newest figures are seconds old; what it does
 * not tell (page cache) stays theirs. A stale one is none. */
static void
fill_agent(const struct ma_tracked *t, uint64_t stale_usec, uint64_t now_usec, struct ma_guest *g) {
    const struct ma_agent_claims *claims = &t->agent.claims;
    uint64_t age = ma_sub_floor0(now_usec, claims->taken_usec);
    struct ma_stats stock = g->stats;
    if (claims->taken_usec == 0 || age > stale_usec) {
        return;
    }
    g->pressure = claims->pressure;
    if ((claims->stats.has & MA_STATS_HAS_AVAILABLE) == 0) {
        return;
    }
    g->stats = claims->stats;
    g->stats.has |= MA_STATS_HAS_AGE;
    g->stats.age_usec = age;
    if ((stock.has & MA_STATS_HAS_CACHE) != 0 && stock.age_usec <= stale_usec) {
        g->stats.has |= MA_STATS_HAS_CACHE;
        g->stats.claimed_cache_bytes = stock.claimed_cache_bytes;
    }
}

/* What nobody says and is as the core would have it stays unsaid: less to record. */
static void fill_shutdown_timeout(uint64_t usec, struct ma_guest_config *config) {
    if ((config->has & MA_CONFIG_HAS_SHUTDOWN_TIMEOUT) == 0 && usec != MA_SHUTDOWN_TIMEOUT_USEC) {
        config->has |= MA_CONFIG_HAS_SHUTDOWN_TIMEOUT;
        config->shutdown_timeout_usec = usec;
    }
}

static void fill_guest(const struct ma_tracked *t,
                       const struct ma_guest_memory *memory,
                       uint64_t now_usec,
                       struct ma_guest *g) {
    memset(g, 0, sizeof(*g));
    g->uuid = t->uuid;
    g->name = t->name;
    g->state = run_state(t, now_usec);
    if (t->started_usec != 0) {
        g->has |= MA_GUEST_HAS_UPTIME;
        g->uptime_usec = ma_sub_floor0(now_usec, t->started_usec);
    }
    g->has |= MA_GUEST_HAS_HELD | MA_GUEST_HAS_PAUSED_BY_MEMARB;
    g->is_held = now_usec < t->held_until_usec;
    g->is_paused_by_memarb = memory != NULL && (memory->taken & MA_TAKEN_PAUSE) != 0;
    g->placement = t->has_policy && t->facts.placement == MA_PLACEMENT_DEFAULT ? t->policy
                                                                               : t->facts.placement;
    g->has |= t->facts.has_placement ? (uint32_t) MA_GUEST_HAS_PLACEMENT : 0U;
    g->config = t->config.config;
    g->config.group = t->config.group[0] != '\0' ? t->config.group : NULL;
    fill_host_figures(t, now_usec, g);
    fill_balloon(t, memory, now_usec, g);
    fill_figures(t, now_usec, g);
}

/* A guest whose figures contradict themselves (more pinned than resident, a node that is gone) keeps its name and its
 * settings and loses the figures: the core then leaves it out for missing figures, and the others are decided on. */
static void strip_if_suspect(struct ma_snapshot_builder *builder,
                             size_t index,
                             const struct ma_snapshot *snapshot) {
    struct ma_check_problem problem;
    if (ma_snapshot_check_guest(snapshot, index, &problem) == 0) {
        return;
    }
    struct ma_guest *g = &builder->guests[index];
    struct ma_guest bare = {
        .uuid = g->uuid, .name = g->name, .state = g->state, .config = g->config};
    bare.has = g->has & (MA_GUEST_HAS_HELD | MA_GUEST_HAS_PAUSED_BY_MEMARB);
    bare.is_held = g->is_held;
    bare.is_paused_by_memarb = g->is_paused_by_memarb;
    *g = bare;
    builder->n_suspect++;
    ma_log(MA_LOG_DEBUG, "guest '%.64s' is left out: %s %s", g->name, problem.path, problem.what);
}

void ma_snapshot_build(struct ma_snapshot_builder *builder,
                       const struct ma_guests *guests,
                       const struct ma_host *host,
                       const struct ma_state *state,
                       uint64_t now_usec,
                       struct ma_snapshot *ret) {
    size_t n = 0;
    size_t next = 0;
    for (size_t i = 0; i < guests->n && n < builder->max; i++) {
        const struct ma_tracked *t = guests->items[i];
        if (t->name[0] == '\0' && !t->has_facts) {
            continue; /* only a rumour so far */
        }
        struct ma_guest *g = &builder->guests[n++];
        fill_guest(t, ma_state_find_next(state, t->uuid, &next), now_usec, g);
        fill_agent(t, builder->stale_usec, now_usec, g);
        fill_shutdown_timeout(builder->shutdown_timeout_usec, &g->config);
    }
    ret->taken_at_usec = now_usec;
    ret->host = *host;
    ret->guests = builder->guests;
    ret->n_guests = n;
    builder->n_suspect = 0;
    for (size_t i = 0; i < n; i++) {
        strip_if_suspect(builder, i, ret);
    }
}
