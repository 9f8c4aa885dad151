/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check.c - is a snapshot one that can be decided on?
 *
 * What passes here cannot wrap a number later: every quantity is <= MA_BYTES_MAX, and so is every sum over all
 * guests. What is refused contradicts itself in figures that the host measured or the operator said. What a guest
 * claims (stats, balloon) is not judged against the host's figures here: a lie is bounded where it is used, and must
 * not make the host blind (P9). */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "state.h"

/* A guest's pages per node and its whole come from different files at different moments. More than twice the whole
 * and this much is no skew any more. Too small: a growing guest makes its snapshot bad; too large: a node's
 * shortage is planned on pages that are not there. Guessed. */
#define NODE_SUM_SKEW_BYTES MA_GIB

struct checker {
    struct ma_check_problem *problem;
    const char *list; /* "$.guests[" or "$.host", and where in it */
    bool has_index;
    size_t index;
    bool has_node;
    size_t node;
};

static char *put_text(char *at, const char *end, const char *text) {
    size_t n = strlen(text);
    size_t room = (size_t) (end - at);
    n = n < room ? n : room;
    memcpy(at, text, n);
    return at + n;
}

static char *put_index(char *at, const char *end, size_t value) {
    char digits[24];
    size_t n = sizeof(digits) - 1;
    digits[n] = '\0';
    digits[--n] = ']';
    do {
        digits[--n] = (char) ('0' + value % 10);
        value /= 10;
    } while (value > 0);
    digits[--n] = '[';
    return put_text(at, end, digits + n);
}

static int fail(const struct checker *c, const char *member, int code, const char *what) {
    char *at = c->problem->path;
    const char *end = at + MA_CHECK_PATH_MAX - 1;
    at = put_text(at, end, c->list);
    if (c->has_index) {
        at = put_index(at, end, c->index);
    }
    if (c->has_node) {
        at = put_index(put_text(at, end, ".nodes"), end, c->node);
    }
    at = put_text(at, end, member);
    *at = '\0';
    c->problem->what = what;
    return code;
}

/* A signed rate within the bound. */
static bool is_rate_good(int64_t rate) {
    return rate <= (int64_t) MA_BYTES_MAX && rate >= -(int64_t) MA_BYTES_MAX;
}

static const char too_large[] = "is above 2^50 bytes";

struct amount {
    const char *member;
    uint64_t bytes;
};

static int check_amounts(const struct checker *c, const struct amount *amounts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (amounts[i].bytes > MA_BYTES_MAX) {
            return fail(c, amounts[i].member, -ERANGE, too_large);
        }
    }
    return 0;
}
#define CHECK_AMOUNTS(c, ...)                                                                      \
    check_amounts((c), (const struct amount[]){__VA_ARGS__},                                       \
                  sizeof((const struct amount[]){__VA_ARGS__}) / sizeof(struct amount))

static int check_host_node(const struct checker *c, const struct ma_node *node) {
    int r = CHECK_AMOUNTS(c, {".total_bytes", node->total_bytes},
                          {".available_bytes", node->available_bytes},
                          {".hugepage_total_bytes", node->hugepage_total_bytes},
                          {".hugepage_free_bytes", node->hugepage_free_bytes});
    if (r < 0) {
        return r;
    }
    if (node->id > 1023) {
        return fail(c, ".id", -ERANGE, "is above 1023");
    }
    if (node->available_bytes > node->total_bytes) {
        return fail(c, ".available_bytes", -EINVAL, "exceeds total_bytes");
    }
    if (node->hugepage_free_bytes > node->hugepage_total_bytes) {
        return fail(c, ".hugepage_free_bytes", -EINVAL, "exceeds hugepage_total_bytes");
    }
    return is_rate_good(node->slope_bytes_per_s)
               ? 0
               : fail(c, ".slope_bytes_per_s", -ERANGE, "is beyond 2^50 bytes per second");
}

static int check_host_nodes(const struct ma_snapshot *s, struct ma_check_problem *problem) {
    struct checker c = {.problem = problem, .list = "$.host", .has_node = true};
    uint64_t total_bytes = 0;
    for (size_t i = 0; i < s->host.n_nodes; i++) {
        const struct ma_node *node = &s->host.nodes[i];
        c.node = i;
        int r = check_host_node(&c, node);
        if (r < 0) {
            return r;
        }
        if (i > 0 && node->id <= node[-1].id) {
            return fail(&c, ".id", -EINVAL,
                        node->id == node[-1].id ? "names a node twice" : "is out of order");
        }
        total_bytes += node->total_bytes; /* <= 1024 x 2^50 */
        if (total_bytes > MA_BYTES_MAX) {
            return fail(&c, ".total_bytes", -ERANGE,
                        "makes the sum of all nodes exceed 2^50 bytes");
        }
    }
    return 0;
}

static int check_host(const struct ma_snapshot *s, struct ma_check_problem *problem) {
    const struct checker c = {.problem = problem, .list = "$.host"};
    const struct ma_host *host = &s->host;
    int r = CHECK_AMOUNTS(
        &c, {".total_bytes", host->total_bytes}, {".available_bytes", host->available_bytes},
        {".swap_total_bytes", host->swap_total_bytes}, {".swap_free_bytes", host->swap_free_bytes},
        {".committed_bytes", host->committed_bytes},
        {".commit_limit_bytes", host->commit_limit_bytes},
        {".pin_budget_bytes", host->pin_budget_bytes});
    if (r < 0) {
        return r;
    }
    if (host->available_bytes > host->total_bytes) {
        return fail(&c, ".available_bytes", -EINVAL, "exceeds total_bytes");
    }
    if (host->swap_free_bytes > host->swap_total_bytes) {
        return fail(&c, ".swap_free_bytes", -EINVAL, "exceeds swap_total_bytes");
    }
    if (!is_rate_good(host->slope_bytes_per_s)) {
        return fail(&c, ".slope_bytes_per_s", -ERANGE, "is beyond 2^50 bytes per second");
    }
    return check_host_nodes(s, problem);
}

static int check_guest_amounts(const struct checker *c, const struct ma_guest *g) {
    int r = CHECK_AMOUNTS(
        c, {".max_bytes", g->max_bytes}, {".actual_bytes", g->actual_bytes},
        {".resident_bytes", g->resident_bytes}, {".swap_bytes", g->swap_bytes},
        {".pinned_bytes", g->pinned_bytes}, {".memlock_limit_bytes", g->memlock_limit_bytes},
        {".hugepage_bytes", g->hugepage_bytes}, {".shared_bytes", g->shared_bytes},
        {".dirty_bytes", g->dirty_bytes}, {".balloon.target_bytes", g->balloon.target_bytes},
        {".balloon.rate_bytes_per_s", g->balloon.rate_bytes_per_s},
        {".virtio_mem.plugged_bytes", g->virtio_mem.plugged_bytes},
        {".virtio_mem.requested_bytes", g->virtio_mem.requested_bytes},
        {".virtio_mem.max_bytes", g->virtio_mem.max_bytes},
        {".virtio_mem.block_bytes", g->virtio_mem.block_bytes},
        {".config.guarantee_bytes", g->config.guarantee_bytes},
        {".config.limit_bytes", g->config.limit_bytes},
        {".config.pin_limit_bytes", g->config.pin_limit_bytes},
        {".config.cap_memory_bytes", g->config.cap_memory_bytes},
        {".config.cap_swap_bytes", g->config.cap_swap_bytes});
    if (r < 0) {
        return r;
    }
    r = CHECK_AMOUNTS(c, {".stats.total_bytes", g->stats.claimed_total_bytes},
                      {".stats.free_bytes", g->stats.claimed_free_bytes},
                      {".stats.available_bytes", g->stats.claimed_available_bytes},
                      {".stats.cache_bytes", g->stats.claimed_cache_bytes},
                      {".stats.swap_in_bytes_per_s", g->stats.claimed_swap_in_bytes_per_s},
                      {".stats.swap_out_bytes_per_s", g->stats.claimed_swap_out_bytes_per_s});
    if (r < 0) {
        return r;
    }
    return is_rate_good(g->growth_bytes_per_s)
               ? 0
               : fail(c, ".growth_bytes_per_s", -ERANGE, "is beyond 2^50 bytes per second");
}

static int check_guest_node(const struct checker *c,
                            const struct ma_snapshot *s,
                            const struct ma_guest_node *node) {
    int r = CHECK_AMOUNTS(c, {".resident_bytes", node->resident_bytes},
                          {".pinned_bytes", node->pinned_bytes},
                          {".hugepage_bytes", node->hugepage_bytes});
    if (r < 0) {
        return r;
    }
    if (ma_snapshot_node(s, node->id) == NULL) {
        return fail(c, ".id", -EINVAL, "names a node that the host does not have");
    }
    if (node->pinned_bytes > node->resident_bytes + node->hugepage_bytes) {
        return fail(c, ".pinned_bytes", -EINVAL, "exceeds what is resident on the node");
    }
    return 0;
}

static int check_guest_nodes(struct checker c, const struct ma_snapshot *s) {
    const struct ma_guest *g = &s->guests[c.index];
    uint64_t resident_bytes = 0;
    c.has_node = true;
    for (c.node = 0; c.node < g->n_nodes; c.node++) {
        const struct ma_guest_node *node = &g->nodes[c.node];
        int r = check_guest_node(&c, s, node);
        if (r < 0) {
            return r;
        }
        if (c.node > 0 && node->id <= node[-1].id) {
            return fail(&c, ".id", -EINVAL,
                        node->id == node[-1].id ? "names a node twice" : "is out of order");
        }
        resident_bytes += node->resident_bytes;
    }
    c.has_node = false;
    if ((g->has & MA_GUEST_HAS_RESIDENT) != 0 &&
        resident_bytes > 2 * g->resident_bytes + NODE_SUM_SKEW_BYTES) {
        return fail(&c, ".nodes", -EINVAL, "hold far more than resident_bytes");
    }
    return 0;
}

/* What the operator or the host itself says, against itself. */
static int check_guest_sense(const struct checker *c, const struct ma_guest *g) {
    const uint32_t pinned = MA_GUEST_HAS_PINNED | MA_GUEST_HAS_RESIDENT;
    const uint32_t limits = MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_LIMIT;
    if ((g->has & pinned) == pinned && g->pinned_bytes > g->resident_bytes + g->hugepage_bytes) {
        return fail(c, ".pinned_bytes", -EINVAL, "exceeds what is resident (with huge pages)");
    }
    if ((g->has & MA_GUEST_HAS_MAX) != 0 && g->actual_bytes > g->max_bytes) {
        return fail(c, ".actual_bytes", -EINVAL, "exceeds max_bytes");
    }
    if ((g->config.has & limits) == limits && g->config.guarantee_bytes > g->config.limit_bytes) {
        return fail(c, ".config.guarantee_bytes", -EINVAL, "exceeds limit_bytes");
    }
    if ((g->virtio_mem.has & MA_VIRTIO_MEM_HAS_MAX) != 0 &&
        g->virtio_mem.plugged_bytes > g->virtio_mem.max_bytes) {
        return fail(c, ".virtio_mem.plugged_bytes", -EINVAL, "exceeds max_bytes");
    }
    if ((g->config.has & MA_CONFIG_HAS_IMPACT) != 0 && g->config.impact_class == MA_IMPACT_WEIGHT &&
        (g->config.impact < 1 || g->config.impact > MA_IMPACT_MAX)) {
        return fail(c, ".config.impact", -ERANGE, "is not 1..1000");
    }
    if ((g->config.has & MA_CONFIG_HAS_SHARES) != 0 &&
        (g->config.shares < 1 || g->config.shares > MA_SHARES_MAX)) {
        return fail(c, ".config.shares", -ERANGE, "is not 1..1000000");
    }
    return 0;
}

static int check_names(const struct checker *c, const struct ma_guest *g) {
    if (g->uuid == NULL || g->uuid[0] == '\0') {
        return fail(c, ".uuid", -EINVAL, "is empty");
    }
    if (strnlen(g->uuid, MA_UUID_MAX) == MA_UUID_MAX) {
        return fail(c, ".uuid", -ERANGE, "is longer than 63 bytes");
    }
    if (g->name == NULL) {
        return fail(c, ".name", -EINVAL, "is missing");
    }
    if ((g->config.has & MA_CONFIG_HAS_GROUP) != 0 &&
        (g->config.group == NULL || g->config.group[0] == '\0')) {
        return fail(c, ".config.group", -EINVAL, "is empty");
    }
    return 0;
}

int ma_snapshot_check_guest(const struct ma_snapshot *snapshot,
                            size_t index,
                            struct ma_check_problem *ret_problem) {
    const struct checker c = {
        .problem = ret_problem, .list = "$.guests", .has_index = true, .index = index};
    const struct ma_guest *guest = &snapshot->guests[index];
    int r = check_names(&c, guest);
    if (r == 0) {
        r = check_guest_amounts(&c, guest);
    }
    if (r == 0) {
        r = check_guest_sense(&c, guest);
    }
    return r == 0 ? check_guest_nodes(c, snapshot) : r;
}

/* Sums over all guests that decisions make. */
struct sums {
    uint64_t max_bytes, resident_bytes, swap_bytes, pinned_bytes, hugepage_bytes;
};

static int check_sums(struct sums *sums, const struct checker *c, const struct ma_guest *g) {
    static const char what[] = "makes the sum over all guests exceed 2^50 bytes";
    const struct {
        const char *member;
        uint64_t *sum;
        uint64_t bytes;
    } rows[] = {
        {".max_bytes", &sums->max_bytes, g->max_bytes},
        {".resident_bytes", &sums->resident_bytes, g->resident_bytes},
        {".swap_bytes", &sums->swap_bytes, g->swap_bytes},
        {".pinned_bytes", &sums->pinned_bytes, g->pinned_bytes},
        {".hugepage_bytes", &sums->hugepage_bytes, g->hugepage_bytes},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i].sum += rows[i].bytes; /* both <= 2^50 */
        if (*rows[i].sum > MA_BYTES_MAX) {
            return fail(c, rows[i].member, -ERANGE, what);
        }
    }
    return 0;
}

int ma_snapshot_check(const struct ma_snapshot *snapshot, struct ma_check_problem *ret_problem) {
    struct checker c = {.problem = ret_problem, .list = "$.guests"};
    struct sums sums = {0};
    int r = check_host(snapshot, ret_problem);
    if (r < 0) {
        return r;
    }
    if (snapshot->n_guests > MA_GUESTS_MAX) {
        return fail(&c, "", -ERANGE, "are more than 16384");
    }
    c.has_index = true;
    for (c.index = 0; c.index < snapshot->n_guests; c.index++) {
        const struct ma_guest *guest = &snapshot->guests[c.index];
        r = ma_snapshot_check_guest(snapshot, c.index, ret_problem);
        if (r < 0) {
            return r;
        }
        int order = c.index > 0 ? strcmp(guest[-1].uuid, guest->uuid) : -1;
        if (order >= 0) {
            return fail(&c, ".uuid", -EINVAL,
                        order == 0 ? "names a guest twice" : "is out of order");
        }
        r = check_sums(&sums, &c, guest);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
