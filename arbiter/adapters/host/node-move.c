/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* node-move.c - move_pages(2) in batches with rests between them.
 *
 *  N1  at most MA_NODE_MOVE_BATCH_BYTES are under way at once, and as long as a batch took nothing is done after it:
 *      guest and host keep half of the memory bus and of the locks
 *  N2  the stop flag is looked at before each batch
 *  N3  only pages that the kernel says are on the node are asked to leave it, and none beyond want_bytes
 *  N4  where nothing is present nothing is asked: a mapping may be a thousand times what lies in it (virtio-mem)
 *  N5  mappings bound by a memory policy, and huge pages, are not touched; the kernel itself refuses pinned pages, pages
 *      shared with another process (no MPOL_MF_MOVE_ALL) and nodes outside the process's cpuset
 *
 * move_pages() takes a pid. The pidfd is asked before each call whether the process has ended: between the two it would
 * have to end, be reaped and its number be given away; what then moved would be a stranger's pages, which stay whole.
 * The memory policy stays what it was, so new faults go to the old node again: what is moved is what is there.
 * Rejected: migrate_pages(2), all or nothing for minutes; cgroup cpuset.mems, whose owner is libvirt. */
#include "node-move.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"

/* linux/mempolicy.h */
#define MOVE_OWN_PAGES (1 << 1)
/* A rest is never shorter: a batch of pages that could not move takes no time. Too small: a busy loop; too large: slow
 * for nothing. Guess. */
#define REST_MIN_USEC UINT64_C(2000)
/* Batches in which nothing lies on the node between two looks at the stop flag and a rest. 64 of them are half a GiB
 * looked at in some 10 ms. Guess. */
#define LOOKS_PER_REST 64U
/* The same where pagemap tells that nothing is present: 8 GiB in some 10 ms. */
#define HOLES_PER_REST 1024U
/* Documentation/admin-guide/mm/pagemap.rst: bit 63 of an entry of 8 bytes. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

static uint64_t now_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void rest(uint64_t usec) {
    struct timespec t = {.tv_sec = (time_t) (usec / MA_USEC_PER_SEC),
                         .tv_nsec = (long) (usec % MA_USEC_PER_SEC) * 1000};
    (void) nanosleep(&t, NULL);
}

/* 0 or more: pages that did not move; negative errno. nodes NULL: only asks. */
static int
move_pages(const struct ma_process *p, size_t n, void **pages, const int *nodes, int *status) {
    long r;
    if (ma_process_is_gone(p)) {
        return -ESRCH;
    }
    do {
        r = syscall(SYS_move_pages, p->pid, n, pages, nodes, status, MOVE_OWN_PAGES);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : (int) r;
}

struct mover {
    const struct ma_process *process;
    const struct ma_node_move_request *request;
    struct ma_node_move_buffers *b;
    struct ma_node_moved done;
    uint64_t page_bytes;
    unsigned n_looks;
    unsigned n_holes;
    int pagemap_fd; /* -1: cannot be read, all is asked of move_pages() */
};

static bool is_finished(const struct mover *m) {
    return m->done.is_full || m->done.was_stopped ||
           m->done.moved_bytes + m->done.failed_bytes >= m->request->want_bytes;
}

static void count(struct mover *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (m->b->status[i] == (int) m->request->to_node) {
            m->done.moved_bytes += m->page_bytes;
        } else {
            m->done.failed_bytes += m->page_bytes;
            m->done.is_full = m->done.is_full || m->b->status[i] == -ENOMEM;
        }
    }
    m->done.n_batches++;
}

/* The pages of b->pages that lie on the node, up to what is still wanted, into b->chosen. */
static size_t choose(struct mover *m, size_t n) {
    uint64_t left = ma_sub_floor0(m->request->want_bytes,
                                  ma_add_sat(m->done.moved_bytes, m->done.failed_bytes));
    size_t k = 0;
    for (size_t i = 0; i < n && k * m->page_bytes < left; i++) {
        if (m->b->status[i] == (int) m->request->from_node) {
            m->b->chosen[k] = m->b->pages[i];
            m->b->nodes[k] = (int) m->request->to_node;
            k++;
        }
    }
    return k;
}

/* At most a batch. Unknown means that something may be there. */
static bool is_hole(struct mover *m, uint64_t start, uint64_t end) {
    size_t size = (size_t) ((end - start) / m->page_bytes) * sizeof(m->b->entries[0]);
    ssize_t n = m->pagemap_fd < 0
                    ? -1
                    : pread(m->pagemap_fd, m->b->entries, size,
                            (off_t) (start / m->page_bytes * sizeof(m->b->entries[0])));
    if (n < 0 || (size_t) n != size) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof(m->b->entries[0]); i++) {
        if ((m->b->entries[i] & PAGEMAP_PRESENT) != 0) {
            return false;
        }
    }
    return true;
}

static int move_batch(struct mover *m, uint64_t start, uint64_t end) {
    uint64_t began = now_usec();
    size_t n = 0;
    m->done.was_stopped =
        m->request->stop != NULL && atomic_load_explicit(m->request->stop, memory_order_relaxed);
    if (m->done.was_stopped) {
        return 0;
    }
    if (is_hole(m, start, end)) {
        if (++m->n_holes % HOLES_PER_REST == 0) {
            rest(REST_MIN_USEC);
        }
        return 0;
    }
    m->done.n_asked++;
    for (uint64_t at = start; at < end && n < MA_NODE_MOVE_BATCH_PAGES; at += m->page_bytes) {
        m->b->pages[n++] = (void *) (uintptr_t) at;
    }
    int r = move_pages(m->process, n, m->b->pages, NULL, m->b->status);
    size_t n_chosen = r < 0 ? 0 : choose(m, n);
    if (n_chosen > 0) {
        r = move_pages(m->process, n_chosen, m->b->chosen, m->b->nodes, m->b->status);
        if (r >= 0) {
            count(m, n_chosen);
        }
        rest(ma_max_u64(now_usec() - began, REST_MIN_USEC));
    } else if (++m->n_looks % LOOKS_PER_REST == 0) {
        rest(REST_MIN_USEC);
    }
    return r < 0 ? r : 0;
}

/* Batches begin at their own multiples, so that a transparent huge page lies in one of them. */
static int move_area(struct mover *m, const struct ma_node_area *area) {
    uint64_t batch = ma_min_u64(MA_NODE_MOVE_BATCH_BYTES, m->page_bytes * MA_NODE_MOVE_BATCH_PAGES);
    int r = 0;
    for (uint64_t at = area->start; r == 0 && at < area->end && !is_finished(m);) {
        uint64_t next = ma_min_u64(area->end, ma_round_down(at, batch) + batch);
        r = move_batch(m, at, next);
        at = next;
    }
    return r;
}

int ma_node_move_worker(const struct ma_process *p,
                        const struct ma_node_move_request *request,
                        struct ma_node_move_buffers *buffers,
                        struct ma_node_moved *ret,
                        struct ma_err *err) {
    ma_auto_close int pagemap_fd = openat(p->dir_fd, "pagemap", O_RDONLY | O_CLOEXEC);
    struct mover m = {.process = p, .request = request, .b = buffers, .pagemap_fd = pagemap_fd};
    long page = sysconf(_SC_PAGESIZE);
    m.page_bytes = page > 0 ? (uint64_t) page : 4096;
    int r = ma_node_move_find_areas(p, request->from_node, buffers, &m.done.is_barred, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < buffers->n_areas && !is_finished(&m); i++) {
        r = move_area(&m, &buffers->areas[i]);
    }
    if (r < 0 && m.done.moved_bytes == 0) {
        return ma_err_set(err, r, "process %d: cannot move its pages from node %u to node %u: %s",
                          p->pid, request->from_node, request->to_node, strerror(-r));
    }
    *ret = m.done;
    return r == -ESRCH ? ma_err_set(err, r, "process %d has ended", p->pid) : 0;
}
