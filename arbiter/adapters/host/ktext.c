/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ktext.c - lines of the kernel's text files.
 *
 * pread at a growing offset: seq_file continues where it was when the offset is the one it stopped at (Linux 6.1
 * fs/seq_file.c seq_read_iter), so a long file (zoneinfo of many cpus) passes through 4 KiB without being kept.
 * Rejected: stdio (allocates, and rewinding drops its buffer), one buffer for the whole file (zoneinfo grows with
 * nodes x cpus). */
#include "ktext.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"

struct source {
    int fd;           /* -1: memory */
    const char *text; /* memory: what is left */
    size_t len;
    off_t offset;
};

static ssize_t source_read(struct source *s, char *to, size_t size) {
    if (s->fd < 0) {
        size_t n = s->len < size ? s->len : size;
        if (n > 0) {
            memcpy(to, s->text, n);
            s->text += n;
            s->len -= n;
        }
        return (ssize_t) n;
    }
    ssize_t n;
    do {
        n = pread(s->fd, to, size, s->offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    s->offset += n;
    return n;
}

struct lines {
    char separator;
    bool is_dropping; /* the rest of a line that was handed out cut */
    char *buf;
    size_t n; /* bytes in buf */
    ma_ktext_line_fn fn;
    void *userdata;
};

static int hand_out(struct lines *l, char *line) {
    if (l->is_dropping) {
        l->is_dropping = false;
        return 0;
    }
    return l->fn(l->userdata, line);
}

/* All whole lines in the buffer; the rest moves to its front. */
static int hand_out_whole_lines(struct lines *l) {
    char *line = l->buf;
    size_t left = l->n;
    for (char *end = memchr(line, l->separator, left); end != NULL;
         end = memchr(line, l->separator, left)) {
        *end = '\0';
        int r = hand_out(l, line);
        if (r != 0) {
            return r;
        }
        left -= (size_t) (end - line) + 1;
        line = end + 1;
    }
    memmove(l->buf, line, left);
    l->n = left;
    return 0;
}

static int each_line(struct source *s, struct lines *l) {
    for (;;) {
        ssize_t got = source_read(s, l->buf + l->n, MA_KTEXT_BUFFER_BYTES - 1 - l->n);
        if (got < 0) {
            return (int) got;
        }
        l->n += (size_t) got;
        int r = hand_out_whole_lines(l);
        bool is_full = l->n == MA_KTEXT_BUFFER_BYTES - 1;
        if (r == 0 && (is_full || (got == 0 && l->n > 0))) {
            l->buf[l->n] = '\0';
            r = hand_out(l, l->buf);
            l->n = 0;
            l->is_dropping = is_full;
        }
        if (r != 0 || got == 0) {
            return r < 0 ? r : 0;
        }
    }
}

int ma_ktext_each_line(
    int fd, char separator, char buf[MA_KTEXT_BUFFER_BYTES], ma_ktext_line_fn fn, void *userdata) {
    if (fd < 0) {
        return -EBADF;
    }
    struct source s = {.fd = fd};
    struct lines l = {.separator = separator, .buf = buf, .fn = fn, .userdata = userdata};
    return each_line(&s, &l);
}

int ma_ktext_each_line_of(const char *text,
                          size_t len,
                          char buf[MA_KTEXT_BUFFER_BYTES],
                          ma_ktext_line_fn fn,
                          void *userdata) {
    struct source s = {.fd = -1, .text = text, .len = len};
    struct lines l = {.separator = '\n', .buf = buf, .fn = fn, .userdata = userdata};
    return each_line(&s, &l);
}

static int read_whole(int fd, bool is_one_record, char *buf, size_t size) {
    struct source s = {.fd = fd};
    size_t n = 0;
    if (fd < 0) {
        return -EBADF;
    }
    while (n + 1 < size) {
        ssize_t got = source_read(&s, buf + n, size - 1 - n);
        if (got < 0) {
            return (int) got;
        }
        if (got == 0) {
            break;
        }
        n += (size_t) got;
        /* saves the read that finds nothing */
        if (is_one_record && n + 1 < size && buf[n - 1] == '\n') {
            break;
        }
    }
    buf[n] = '\0';
    return (int) n;
}

int ma_ktext_read_fd(int fd, char *buf, size_t size) {
    return read_whole(fd, false, buf, size);
}

int ma_ktext_read_at(int dir_fd, const char *name, char *buf, size_t size) {
    ma_auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    return read_whole(fd, true, buf, size);
}

bool ma_ktext_u64(const char **text, uint64_t *ret) {
    const char *p = *text;
    uint64_t v = 0;
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t) (*p - '0'), &v)) {
            return false;
        }
    }
    *text = p;
    *ret = v;
    return true;
}

static const char *skip_blanks(const char *p) {
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    return p;
}

const char *ma_ktext_field(const char *line, const char *key) {
    const char *p = line;
    /* most lines are told apart by their first letter: a thousand status files are 400,000 calls */
    for (; *key != '\0'; key++, p++) {
        if (*p != *key) {
            return NULL;
        }
    }
    if (*p != ':' && *p != '=' && *p != ' ' && *p != '\t') {
        return NULL;
    }
    return skip_blanks(*p == ':' || *p == '=' ? p + 1 : p);
}

bool ma_ktext_kib(const char *text, uint64_t *ret_bytes) {
    uint64_t kib;
    const char *p = text;
    if (!ma_ktext_u64(&p, &kib)) {
        return false;
    }
    p = skip_blanks(p);
    if (strncmp(p, "kB", 2) == 0) {
        p = skip_blanks(p + 2);
    }
    return *p == '\0' && ma_bytes_from_kib(kib, ret_bytes) == 0;
}

bool ma_ktext_bytes(const char *text, uint64_t *ret_bytes) {
    uint64_t v;
    const char *p = text;
    if (strncmp(p, "max", 3) == 0) {
        v = MA_KTEXT_UNLIMITED;
        p += 3;
    } else if (!ma_ktext_u64(&p, &v) || v > MA_BYTES_MAX) {
        return false;
    }
    while (*p == ' ' || *p == '\t' || *p == '\n') {
        p++;
    }
    if (*p != '\0') {
        return false;
    }
    *ret_bytes = v;
    return true;
}
