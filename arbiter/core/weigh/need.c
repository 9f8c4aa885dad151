/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* need.c - the deficit as a vector.
 *
 *   demand(ram)   = (reserve - (available + shrinking slope x horizon) - gains surely in flight) x (1 + margin)
 *   demand(node)  = the same with the node's share of the reserve, while a guest is bound to it
 *   demand(swap)  = its share of the reserve, only beside a demand of ram that needs a victim
 *
 *   demand(ram-within-T) = (what is lost within the horizon - available - in flight by T) x (1 + margin)
 *
 * in whole MiB, rounded up. The last row stands only where ram is critical and gone in T, which is before the horizon:
 * what gentle actions bring later comes to a host that the kernel has dealt with. A row whose state is normal has no demand: a projection that the state machine does not
 * believe (a single outlier) moves nothing.
 *
 * Time. What shrinks is projected over horizon_usec, and only what lands within it counts. A host that does not
 * shrink has time: there the gains of UNHURRIED_WINDOW_USEC count, so that no guest dies because a big idle balloon
 * would have needed ten seconds of a calm afternoon (P14). "Does not shrink" means: what it loses in that longer
 * window stays below an eighth of the reserve, so the projection's error stays small against the margin, and that its
 * swap does not shrink in its stead.
 *
 * Gains in flight are those of balloons that have been seen to move, of a reclaim under way, and of the pending
 * victim; a balloon that never moved yet is not counted, its option is simply chosen again, which changes nothing. */
#include "need.h"

#include <string.h>

#include "bytes.h"
#include "rebalance.h"

/* How long gains may take on a host that is not shrinking. Too small: victims where patience would do; too large: a
 * host is left below its reserve, one burst away from the kernel's killer. Guessed. */
#define UNHURRIED_WINDOW_USEC  (UINT64_C(30) * MA_USEC_PER_SEC)
#define UNHURRIED_LOSS_DIVISOR 8
#define NODE_ROWS_MAX          12
/* A deadline is told in these steps, so that plans of two samples look alike; shorter ones mean "at once". */
#define DEADLINE_STEP_MS 100U

static uint64_t scale(uint64_t value, uint64_t total, uint64_t host_total) {
    return host_total == 0 ? 0 : ma_muldiv_sat(value, total, host_total);
}

static void keep_node(const struct ma_node **kept, size_t *n, const struct ma_node *node) {
    size_t fullest = 0;

    if (*n < NODE_ROWS_MAX) {
        kept[(*n)++] = node;
        return;
    }
    for (size_t k = 1; k < *n; k++) {
        if (scale(kept[k]->available_bytes, MA_PERMYRIAD_FULL, kept[k]->total_bytes) >
            scale(kept[fullest]->available_bytes, MA_PERMYRIAD_FULL, kept[fullest]->total_bytes)) {
            fullest = k;
        }
    }
    if (scale(node->available_bytes, MA_PERMYRIAD_FULL, node->total_bytes) <
        scale(kept[fullest]->available_bytes, MA_PERMYRIAD_FULL, kept[fullest]->total_bytes)) {
        memmove(&kept[fullest], &kept[fullest + 1], (*n - fullest - 1) * sizeof(kept[0]));
        kept[*n - 1] = node;
    }
}

size_t ma_need_rows(const struct ma_snapshot *snapshot, struct ma_row rows[MA_ROWS_MAX]) {
    const struct ma_host *host = &snapshot->host;
    const struct ma_node *kept[NODE_ROWS_MAX];
    size_t n_kept = 0;
    size_t n = 0;

    rows[n++] = (struct ma_row){.kind = MA_ROW_RAM};
    if ((host->has & MA_HOST_HAS_SWAP) != 0 && host->swap_total_bytes > 0) {
        rows[n++] = (struct ma_row){.kind = MA_ROW_SWAP};
    }
    for (size_t k = 0; k < host->n_nodes; k++) {
        if (host->nodes[k].total_bytes > 0) {
            keep_node(kept, &n_kept, &host->nodes[k]);
        }
    }
    for (size_t k = 0; k < n_kept; k++) {
        rows[n++] = (struct ma_row){.kind = MA_ROW_NODE, .node = kept[k]->id};
    }
    return n;
}

static const struct ma_guest_node *guest_node(const struct ma_guest *guest, uint16_t id) {
    for (size_t k = 0; k < guest->n_nodes; k++) {
        if (guest->nodes[k].id == id) {
            return &guest->nodes[k];
        }
    }
    return NULL;
}

bool ma_need_is_bound(const struct ma_guest *guest, uint16_t id) {
    const struct ma_guest_node *node = guest_node(guest, id);
    bool may_be_bound =
        (guest->has & MA_GUEST_HAS_PLACEMENT) == 0 || guest->placement == MA_PLACEMENT_STRICT;

    return may_be_bound && node != NULL && node->resident_bytes > 0;
}

static bool is_node_bound(const struct ma_snapshot *snapshot, uint16_t id) {
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        if (ma_need_is_bound(&snapshot->guests[i], id)) {
            return true;
        }
    }
    return false;
}

void ma_need_resource(const struct ma_snapshot *snapshot,
                      const struct ma_row *row,
                      struct ma_resource *ret) {
    const struct ma_host *host = &snapshot->host;
    const struct ma_settings *settings = &snapshot->settings;
    const struct ma_node *node = NULL;

    memset(ret, 0, sizeof(*ret));
    if (row->kind == MA_ROW_RAM) {
        ret->total_bytes = host->total_bytes;
        ret->available_bytes = host->available_bytes;
        ret->has_slope = (host->has & MA_HOST_HAS_SLOPE) != 0;
        ret->slope_bytes_per_s = host->slope_bytes_per_s;
        ret->counts = true;
    } else if (row->kind == MA_ROW_SWAP) {
        ret->total_bytes = host->swap_total_bytes;
        ret->available_bytes = host->swap_free_bytes;
    } else if (row->kind == MA_ROW_NODE) {
        node = ma_snapshot_node(snapshot, row->node);
    }
    if (node != NULL) {
        ret->total_bytes = node->total_bytes;
        ret->available_bytes = node->available_bytes;
        ret->has_slope = (node->has & MA_NODE_HAS_SLOPE) != 0;
        ret->slope_bytes_per_s = node->slope_bytes_per_s;
        ret->counts = is_node_bound(snapshot, row->node);
    }
    ret->reserve_bytes = scale(settings->reserve_bytes, ret->total_bytes, host->total_bytes);
    ret->soft_bytes = scale(settings->soft_watermark_bytes, ret->total_bytes, host->total_bytes);
    ret->hard_bytes = scale(settings->hard_watermark_bytes, ret->total_bytes, host->total_bytes);
    ret->critical_bytes =
        scale(settings->critical_watermark_bytes, ret->total_bytes, host->total_bytes);
}

uint64_t ma_need_share(const struct ma_guest *guest, const struct ma_row *row, uint64_t amount) {
    const struct ma_guest_node *node;
    uint64_t sum = 0;

    if (row->kind == MA_ROW_RAM) {
        return amount;
    }
    if (row->kind != MA_ROW_NODE) {
        return 0;
    }
    node = guest_node(guest, row->node);
    if (node == NULL || node->resident_bytes == 0) {
        return 0;
    }
    /* The node figures are taken at another moment than the total: against the larger of both, no share exceeds
     * what it can be. */
    for (size_t k = 0; k < guest->n_nodes; k++) {
        sum = ma_add_sat(sum, guest->nodes[k].resident_bytes);
    }
    sum = ma_max_u64(sum, guest->resident_bytes);
    return ma_min_u64(ma_muldiv_sat(amount, node->resident_bytes, sum), node->resident_bytes);
}

uint64_t ma_need_stopped(const struct ma_need *need,
                         const struct ma_plan *plan,
                         const struct ma_guest *guest,
                         uint64_t growth_bytes) {
    uint64_t stopped = ma_min_u64(growth_bytes, MA_BYTES_MAX);

    for (size_t d = 0; d < need->n_rows && stopped > 0; d++) {
        uint64_t share =
            need->demand_mib[d] > 0 ? ma_need_share(guest, &plan->rows[d], stopped) : 0;

        /* The same part on every row, so that an option that returns most of one returns most of all. */
        if (share > need->loss_bytes[d]) {
            stopped = ma_muldiv_sat(stopped, need->loss_bytes[d], share);
        }
    }
    return stopped;
}

/* What a slope takes away in that time; 0 when it does not shrink. */
static uint64_t loss_bytes(const struct ma_resource *resource, uint64_t usec) {
    if (!resource->has_slope || resource->slope_bytes_per_s >= 0) {
        return 0;
    }
    return ma_muldiv_sat((uint64_t) 0 - (uint64_t) resource->slope_bytes_per_s, usec,
                         MA_USEC_PER_SEC);
}

/* What is used up has no time left, whatever its slope: it cannot fall any more. */
static uint64_t time_left_usec(const struct ma_resource *resource) {
    uint64_t loss_per_s = loss_bytes(resource, MA_USEC_PER_SEC);

    if (resource->available_bytes == 0) {
        return 0;
    }
    return loss_per_s == 0 ? MA_USEC_INFINITY
                           : ma_muldiv_sat(resource->available_bytes, MA_USEC_PER_SEC, loss_per_s);
}

uint64_t ma_need_time_left_usec(const struct ma_snapshot *snapshot, const struct ma_plan *plan) {
    uint64_t least = MA_USEC_INFINITY;

    for (size_t d = 0; d < plan->n_rows; d++) {
        struct ma_resource resource;

        ma_need_resource(snapshot, &plan->rows[d], &resource);
        resource.has_slope = plan->has_slope[d];
        resource.slope_bytes_per_s = plan->slope_bytes_per_s[d];
        if (resource.counts && plan->row_pressure[d] > MA_PRESSURE_NORMAL) {
            least = ma_min_u64(least, time_left_usec(&resource));
        }
    }
    return least;
}

uint32_t ma_need_deadline_ms(const struct ma_snapshot *snapshot, int64_t slope_bytes_per_s) {
    struct ma_resource ram = {.available_bytes = snapshot->host.available_bytes,
                              .has_slope = true,
                              .slope_bytes_per_s = slope_bytes_per_s};
    uint64_t left = time_left_usec(&ram);
    uint64_t horizon = ma_min_u64(snapshot->settings.horizon_usec, MA_USEC_PER_SEC * 3600);

    if (left >= horizon) {
        return 0;
    }
    return (uint32_t) ma_max_u64(ma_round_down(left / 1000, DEADLINE_STEP_MS), DEADLINE_STEP_MS);
}

static bool is_reclaim_under_way(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        if (facts[i].memory != NULL &&
            facts[i].memory->reclaim_until_usec > snapshot->taken_at_usec) {
            return true;
        }
    }
    return false;
}

/* A host that pages out holds its available memory where it is for as long as there is swap: it is no calm one, unless
 * the paging is our own. */
static bool is_paging_out(const struct ma_snapshot *snapshot,
                          const struct ma_facts *facts,
                          const struct ma_plan *plan,
                          const struct ma_need *need) {
    return need->swap >= 0 && need->ram >= 0 &&
           plan->row_pressure[need->ram] > MA_PRESSURE_NORMAL &&
           loss_bytes(&need->resources[need->swap], UNHURRIED_WINDOW_USEC) >
               need->resources[need->ram].reserve_bytes / UNHURRIED_LOSS_DIVISOR &&
           !is_reclaim_under_way(snapshot, facts);
}

/* Until the host is out, at the pace at which its swap fills. */
static uint64_t paging_time_left_usec(const struct ma_need *need) {
    struct ma_resource both = need->resources[need->swap];

    both.available_bytes =
        ma_add_sat(both.available_bytes, need->resources[need->ram].available_bytes);
    return time_left_usec(&both);
}

static void set_times(const struct ma_plan *plan, bool is_paging_out, struct ma_need *need) {
    bool is_hurried = is_paging_out;

    need->time_left_usec = is_paging_out ? paging_time_left_usec(need) : MA_USEC_INFINITY;
    for (size_t d = 0; d < need->n_rows; d++) {
        const struct ma_resource *resource = &need->resources[d];

        if (!resource->counts || plan->row_pressure[d] == MA_PRESSURE_NORMAL) {
            continue;
        }
        need->time_left_usec = ma_min_u64(need->time_left_usec, time_left_usec(resource));
        if (loss_bytes(resource, UNHURRIED_WINDOW_USEC) >
            resource->reserve_bytes / UNHURRIED_LOSS_DIVISOR) {
            is_hurried = true;
        }
    }
    need->window_usec =
        is_hurried ? need->horizon_usec : ma_max_u64(need->horizon_usec, UNHURRIED_WINDOW_USEC);
}

/* Host RAM on its way to each row within the window, what of it shows in the slope already, and what given balloons may
 * still take from it. */
struct flight {
    uint64_t gains[MA_ROWS_MAX];
    uint64_t stopped[MA_ROWS_MAX]; /* growth that balloons under way keep from coming */
    uint64_t returning_bytes_per_s[MA_ROWS_MAX];
    uint64_t owed[MA_ROWS_MAX];
};

uint64_t
ma_need_landing_usec(const struct ma_need *need, const struct ma_row *row, bool is_moving) {
    uint64_t window = ma_sub_floor0(need->window_usec, MA_BALLOON_LAG_USEC);
    uint64_t within = (uint64_t) row->within_ms * 1000;

    if (row->within_ms == 0) {
        return window;
    }
    return ma_min_u64(window, is_moving ? within : ma_sub_floor0(within, MA_BALLOON_LAG_USEC));
}

static uint64_t reclaim_in_flight(const struct ma_snapshot *snapshot, const struct ma_facts *fact) {
    return fact->memory != NULL && fact->memory->reclaim_until_usec > snapshot->taken_at_usec
               ? fact->memory->reclaim_bytes
               : 0;
}

static void sum_flight(const struct ma_snapshot *snapshot,
                       const struct ma_facts *facts,
                       const struct ma_need *need,
                       const struct ma_plan *plan,
                       struct flight *flight) {
    memset(flight, 0, sizeof(*flight));
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_facts *fact = &facts[i];
        uint64_t reclaim = reclaim_in_flight(snapshot, fact);
        bool is_returning = fact->in_flight_bytes > 0 && fact->guest->growth_bytes_per_s < 0;
        uint64_t pace =
            is_returning ? (uint64_t) 0 - (uint64_t) fact->guest->growth_bytes_per_s : 0;

        if (fact->in_flight_bytes == 0 && reclaim == 0 && fact->owed_bytes == 0) {
            continue;
        }
        for (size_t d = 0; d < need->n_rows; d++) {
            const struct ma_row *row = &plan->rows[d];
            struct ma_returned returned = {0};
            uint64_t gain;

            if (fact->in_flight_bytes > 0) {
                returned = ma_facts_returned_by(fact, fact->committed_bytes,
                                                ma_need_landing_usec(need, row, true));
            }
            gain = returned.held_bytes + (row->within_ms == 0 ? reclaim : 0);

            flight->stopped[d] += ma_need_share(fact->guest, row, returned.stopped_bytes);
            flight->gains[d] += ma_need_share(fact->guest, row, gain);
            flight->returning_bytes_per_s[d] += ma_need_share(fact->guest, row, pace);
            flight->owed[d] += ma_need_share(fact->guest, row, fact->owed_bytes);
        }
    }
}

/* Pages on their way from one node to another: a gain there, owed here. */
static void sum_moving(const struct ma_snapshot *snapshot,
                       const struct ma_facts *facts,
                       const struct ma_need *need,
                       const struct ma_plan *plan,
                       struct flight *flight) {
    uint64_t landed =
        ma_muldiv_sat(MA_REBALANCE_RATE_BYTES_PER_S, need->window_usec, MA_USEC_PER_SEC);

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        if (facts[i].memory == NULL ||
            facts[i].memory->rebalance_until_usec <= snapshot->taken_at_usec) {
            continue;
        }
        for (size_t d = 0; d < need->n_rows; d++) {
            int64_t left =
                ma_rebalance_in_flight(&facts[i], &plan->rows[d], snapshot->taken_at_usec);

            if (left > 0) {
                flight->gains[d] += ma_min_u64((uint64_t) left, landed);
            } else {
                flight->owed[d] += (uint64_t) -left;
            }
        }
    }
}

/* What is on its way without what the row's slope counts on already: while guests take what balloons return and what the
 * kernel pages out, available stands still, and what is returned next is taken as well. */
static uint64_t uncounted_gain(const struct ma_need *need,
                               const struct flight *flight,
                               size_t d,
                               uint64_t paged_out_bytes_per_s) {
    const struct ma_resource *resource = &need->resources[d];
    uint64_t rising = resource->has_slope && resource->slope_bytes_per_s > 0
                          ? (uint64_t) resource->slope_bytes_per_s
                          : 0;
    uint64_t pace = ma_add_sat(flight->returning_bytes_per_s[d], paged_out_bytes_per_s);
    uint64_t taken = ma_muldiv_sat(ma_sub_floor0(pace, rising), need->window_usec, MA_USEC_PER_SEC);

    return ma_sub_floor0(flight->gains[d], taken);
}

/* What guests that grow take in a second, for as far as their balloons let them within the horizon. */
static uint64_t taken_per_s(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    uint64_t sum = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = facts[i].guest;
        bool is_growing = (guest->has & MA_GUEST_HAS_GROWTH) != 0 &&
                          guest->growth_bytes_per_s > 0 && guest->state == MA_GUEST_RUNNING;
        uint64_t room = (guest->has & MA_GUEST_HAS_ACTUAL) != 0
                            ? ma_sub_floor0(facts[i].whole_bytes > 0 ? facts[i].whole_bytes
                                                                     : guest->actual_bytes,
                                            guest->resident_bytes)
                            : MA_BYTES_MAX;

        if (is_growing) {
            sum = ma_add_sat(sum, ma_min_u64((uint64_t) guest->growth_bytes_per_s, room));
        }
    }
    return sum;
}

static void set_surely_left(const struct ma_snapshot *snapshot,
                            const struct ma_facts *facts,
                            struct ma_need *need) {
    uint64_t pace = taken_per_s(snapshot, facts);
    uint64_t have = snapshot->host.available_bytes;

    if (need->swap >= 0) {
        have = ma_add_sat(have, need->resources[need->swap].available_bytes);
    }
    need->surely_left_usec =
        pace == 0 ? MA_USEC_INFINITY : ma_muldiv_sat(have, MA_USEC_PER_SEC, pace);
}

/* What the pending victim has yet to return. */
static uint64_t pending_bytes(const struct ma_snapshot *snapshot, const struct ma_state *state) {
    const struct ma_pending_victim *pending = &state->pending;
    uint64_t arrived =
        ma_sub_floor0(snapshot->host.available_bytes, pending->available_before_bytes);

    return pending->is_pending ? ma_sub_floor0(pending->predicted_bytes, arrived) : 0;
}

static int64_t demand_mib(const struct ma_resource *resource,
                          uint64_t horizon_usec,
                          uint64_t gain_bytes,
                          uint32_t margin_permyriad) {
    uint64_t wanted = ma_add_sat(resource->reserve_bytes, loss_bytes(resource, horizon_usec));
    uint64_t have = ma_add_sat(resource->available_bytes, gain_bytes);
    uint64_t short_bytes = ma_min_u64(ma_sub_floor0(wanted, have), MA_BYTES_MAX);

    return (int64_t) ma_mib_up(short_bytes + ma_permyriad_of(short_bytes, margin_permyriad));
}

void ma_need_compute(const struct ma_snapshot *snapshot,
                     const struct ma_state *state,
                     const struct ma_facts *facts,
                     const struct ma_plan *plan,
                     struct ma_need *ret) {
    const struct ma_settings *settings = &snapshot->settings;
    struct flight flight;
    bool is_own_paging;
    uint64_t paged_out;

    memset(ret, 0, sizeof(*ret));
    ret->n_rows = plan->n_rows;
    ret->horizon_usec = settings->horizon_usec;
    ret->ram = ma_plan_row(plan, MA_ROW_RAM, 0);
    ret->swap = ma_plan_row(plan, MA_ROW_SWAP, 0);
    for (size_t d = 0; d < ret->n_rows; d++) {
        struct ma_resource *resource = &ret->resources[d];

        ma_need_resource(snapshot, &plan->rows[d], resource);
        resource->has_slope = plan->has_slope[d];
        resource->slope_bytes_per_s = plan->slope_bytes_per_s[d];
    }
    set_times(plan, is_paging_out(snapshot, facts, plan, ret), ret);
    sum_flight(snapshot, facts, ret, plan, &flight);
    sum_moving(snapshot, facts, ret, plan, &flight);
    set_surely_left(snapshot, facts, ret);
    is_own_paging = is_reclaim_under_way(snapshot, facts);
    paged_out = ret->swap < 0 ? 0 : loss_bytes(&ret->resources[ret->swap], MA_USEC_PER_SEC);
    for (size_t d = 0; d < ret->n_rows; d++) {
        struct ma_resource *resource = &ret->resources[d];

        ret->loss_bytes[d] = ma_min_u64(loss_bytes(resource, ret->horizon_usec), MA_BYTES_MAX);
        flight.gains[d] += ma_min_u64(flight.stopped[d], ret->loss_bytes[d]);
        flight.gains[d] = uncounted_gain(
            ret, &flight, d, plan->rows[d].kind == MA_ROW_RAM && !is_own_paging ? paged_out : 0);
        if (plan->rows[d].kind == MA_ROW_RAM) {
            flight.gains[d] += pending_bytes(snapshot, state);
        }
        if (plan->rows[d].within_ms > 0) {
            resource->reserve_bytes = 0; /* to be there at all is what its time is about */
        }
        int64_t demand =
            demand_mib(resource, ret->horizon_usec, flight.gains[d], settings->margin_permyriad);

        ret->slack_mib[d] = (int64_t) ma_mib_down(ma_sub_floor0(
            resource->available_bytes,
            ma_add_sat(ma_max_u64(resource->soft_bytes, resource->reserve_bytes), flight.owed[d])));
        if ((int) d == ret->swap) {
            ret->swap_demand_mib = demand;
        } else if (resource->counts && plan->row_pressure[d] > MA_PRESSURE_NORMAL) {
            ret->demand_mib[d] = demand;
            ret->has_demand = ret->has_demand || demand > 0;
        }
    }
}

enum ma_pressure ma_need_pressure(const struct ma_snapshot *snapshot, const struct ma_plan *plan) {
    enum ma_pressure worst = MA_PRESSURE_NORMAL;

    for (size_t d = 0; d < plan->n_rows; d++) {
        struct ma_resource resource;

        ma_need_resource(snapshot, &plan->rows[d], &resource);
        if (resource.counts && plan->row_pressure[d] > worst) {
            worst = plan->row_pressure[d];
        }
    }
    return worst;
}
