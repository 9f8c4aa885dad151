/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* numa-maps.c - /proc/PID/numa_maps: where a process's pages are, and what its memory policies say.
 *
 * "7f12c0000000 prefer:1 anon=81920 dirty=81920 active=0 N0=16384 N1=65536 kernelpagesize_kB=4". A mapping without a
 * policy of its own shows its task's. Reading costs 3-6 ms per GiB of 4 KiB pages and holds off mmap() in the process:
 * on demand only. The text is the kernel's, the path in `file=` is anybody's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "node-move.h"

/* The first mappings are the program's own: their policy is the task's. Longer than any first line (a path of 4 KiB
 * aside, whose policy stands before it). */
#define FIRST_LINES_BYTES 512

static bool hex(const char **text, uint64_t *ret) {
    uint64_t value = 0;
    const char *p = *text;
    for (;; p++) {
        unsigned digit;
        if (*p >= '0' && *p <= '9') {
            digit = (unsigned) (*p - '0');
        } else if (*p >= 'a' && *p <= 'f') {
            digit = (unsigned) (*p - 'a') + 10;
        } else {
            break;
        }
        if (value > UINT64_MAX >> 4) {
            return false;
        }
        value = value << 4 | digit;
    }
    if (p == *text) {
        return false;
    }
    *text = p;
    *ret = value;
    return true;
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* mpol_to_str() of Linux 6.1: default, prefer:1, "prefer (many):0-1", bind:1, bind=static:1, interleave:0-1, local.
 * "local" keeps to the node of the vCPU and takes another when there is none left, as the default does. */
static bool placement_of(const char *policy, enum ma_placement *ret) {
    static const struct {
        const char *word;
        enum ma_placement placement;
    } words[] = {
        {"default", MA_PLACEMENT_DEFAULT},       {"local", MA_PLACEMENT_DEFAULT},
        {"prefer", MA_PLACEMENT_PREFERRED},      {"bind", MA_PLACEMENT_STRICT},
        {"interleave", MA_PLACEMENT_INTERLEAVE}, {"weighted interleave", MA_PLACEMENT_INTERLEAVE},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (begins(policy, words[i].word)) {
            *ret = words[i].placement;
            return true;
        }
    }
    return false;
}

static void take_word(const char *word, uint16_t node, struct ma_numa_line *line) {
    uint64_t id;
    uint64_t pages;
    if (begins(word, "anon=") || begins(word, "file=/memfd:") || begins(word, "file=/dev/shm/")) {
        line->is_memory = true;
    } else if (begins(word, "huge") && (word[4] == ' ' || word[4] == '\0')) {
        line->is_huge = true;
    } else if (word[0] == 'N') {
        word++;
        if (ma_ktext_u64(&word, &id) && *word == '=' && id == node) {
            word++;
            if (ma_ktext_u64(&word, &pages)) {
                line->node_pages = ma_min_u64(pages, MA_BYTES_MAX / 4096);
            }
        }
    }
}

bool ma_numa_line_parse(const char *line, uint16_t node, struct ma_numa_line *ret) {
    struct ma_numa_line got = {.placement = MA_PLACEMENT_DEFAULT};
    if (!hex(&line, &got.start) || *line != ' ') {
        return false;
    }
    got.has_policy = placement_of(line + 1, &got.placement);
    for (const char *blank = line; blank != NULL; blank = strchr(blank + 1, ' ')) {
        take_word(blank + 1, node, &got);
    }
    *ret = got;
    return true;
}

int ma_process_read_policy(const struct ma_process *p, enum ma_placement *ret, struct ma_err *err) {
    char text[FIRST_LINES_BYTES];
    struct ma_numa_line line;
    int n = ma_ktext_read_at(p->dir_fd, "numa_maps", text, sizeof(text));
    if (n < 0) {
        return ma_err_set(err, n, "process %d: cannot read numa_maps: %s", p->pid, strerror(-n));
    }
    if (!ma_numa_line_parse(text, 0, &line) || !line.has_policy) {
        return ma_err_set(err, -EINVAL, "process %d: numa_maps cannot be understood", p->pid);
    }
    *ret = line.placement;
    return 0;
}

struct search {
    uint16_t node;
    struct ma_node_move_buffers *buffers;
    uint64_t barred_pages;
};

/* Keeps the fullest, in order. */
static void keep_area(struct ma_node_move_buffers *b, const struct ma_numa_line *line) {
    size_t at = b->n_areas;
    while (at > 0 && b->areas[at - 1].node_pages < line->node_pages) {
        at--;
    }
    if (at == MA_NODE_MOVE_AREAS_MAX) {
        return;
    }
    size_t kept = b->n_areas < MA_NODE_MOVE_AREAS_MAX ? b->n_areas : MA_NODE_MOVE_AREAS_MAX - 1;
    memmove(&b->areas[at + 1], &b->areas[at], (kept - at) * sizeof(b->areas[0]));
    b->areas[at] = (struct ma_node_area){.start = line->start, .node_pages = line->node_pages};
    b->n_areas = kept + 1;
}

static int take_line(void *userdata, const char *text) {
    struct search *s = userdata;
    struct ma_numa_line line;
    if (!ma_numa_line_parse(text, s->node, &line) || line.node_pages == 0 || !line.is_memory) {
        return 0;
    }
    bool is_free = line.has_policy && (line.placement == MA_PLACEMENT_PREFERRED ||
                                       line.placement == MA_PLACEMENT_DEFAULT);
    if (line.is_huge || !is_free) {
        s->barred_pages += line.node_pages;
    } else {
        keep_area(s->buffers, &line);
    }
    return 0;
}

/* "7f12c0000000-7f12d4000000 rw-p ..." gives the areas their ends. A mapping that its process put right below one of
 * them after numa_maps was read has become one with it: the area is found by what holds its start. */
static int take_range(void *userdata, const char *text) {
    struct ma_node_move_buffers *b = userdata;
    uint64_t start;
    uint64_t end;
    if (!hex(&text, &start) || *text != '-') {
        return 0;
    }
    text++;
    if (hex(&text, &end) && end > start) {
        for (size_t i = 0; i < b->n_areas; i++) {
            if (b->areas[i].start >= start && b->areas[i].start < end) {
                b->areas[i].end = end;
            }
        }
    }
    return 0;
}

static int each_line(const struct ma_process *p,
                     const char *name,
                     char buf[MA_KTEXT_BUFFER_BYTES],
                     ma_ktext_line_fn fn,
                     void *userdata) {
    ma_auto_close int fd = openat(p->dir_fd, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : ma_ktext_each_line(fd, '\n', buf, fn, userdata);
}

int ma_node_move_find_areas(const struct ma_process *p,
                            uint16_t from_node,
                            struct ma_node_move_buffers *buffers,
                            bool *ret_is_barred,
                            struct ma_err *err) {
    struct search s = {.node = from_node, .buffers = buffers};
    buffers->n_areas = 0;
    int r = each_line(p, "numa_maps", buffers->text, take_line, &s);
    if (r == 0) {
        r = each_line(p, "maps", buffers->text, take_range, buffers);
    }
    if (r < 0) {
        r = r == -ENOENT ? -ESRCH : r;
        return ma_err_set(err, r, "process %d: cannot read where its memory is: %s", p->pid,
                          strerror(-r));
    }
    *ret_is_barred = buffers->n_areas == 0 && s.barred_pages > 0;
    return 0;
}
