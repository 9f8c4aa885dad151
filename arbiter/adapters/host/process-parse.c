/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process-parse.c - the text of /proc/PID/status, stat, io and cgroup. Pure. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "ktext.h"
#include "process.h"

/* Cut at size - 1. */
static void copy_text(char *to, size_t size, const char *from) {
    size_t n = strnlen(from, size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

static bool parse_size_field(struct ma_process_sample *s, const char *line) {
    static const struct {
        const char *key;
        uint32_t bit;
        size_t offset;
    } fields[] = {
        {"VmRSS", MA_PROCESS_HAS_RSS, offsetof(struct ma_process_sample, rss_bytes)},
        {"RssAnon", MA_PROCESS_HAS_RSS_ANON, offsetof(struct ma_process_sample, rss_anon_bytes)},
        {"RssShmem", MA_PROCESS_HAS_RSS_SHMEM, offsetof(struct ma_process_sample, rss_shmem_bytes)},
        {"VmSwap", MA_PROCESS_HAS_SWAP, offsetof(struct ma_process_sample, swap_bytes)},
        {"VmLck", MA_PROCESS_HAS_LOCKED, offsetof(struct ma_process_sample, locked_bytes)},
        {"VmPin", MA_PROCESS_HAS_PINNED, offsetof(struct ma_process_sample, pinned_bytes)},
        {"HugetlbPages", MA_PROCESS_HAS_HUGETLB, offsetof(struct ma_process_sample, hugetlb_bytes)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *value = ma_ktext_field(line, fields[i].key);
        uint64_t bytes;
        if (value != NULL) {
            if (ma_ktext_kib(value, &bytes)) {
                memcpy((char *) s + fields[i].offset, &bytes, sizeof(bytes));
                s->has |= fields[i].bit;
            }
            return true;
        }
    }
    return false;
}

/* "000001ffffffffff": at most 16 digits, nothing behind. */
static bool parse_hex(const char *text, uint64_t *ret) {
    uint64_t v = 0;
    size_t n = 0;
    for (; n < 16 && text[n] != '\0'; n++) {
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, text[n]);
        if (at == NULL) {
            return false;
        }
        v = v << 4 | (uint64_t) (at - digits);
    }
    *ret = v;
    return n > 0 && text[n] == '\0';
}

int ma_process_status_parse_line(void *userdata, const char *line) {
    struct ma_process_sample *s = userdata;
    const char *value;
    uint64_t v;
    if (parse_size_field(s, line)) {
        return 0;
    }
    if ((value = ma_ktext_field(line, "Name")) != NULL) {
        copy_text(s->comm, sizeof(s->comm), value);
    } else if ((value = ma_ktext_field(line, "Uid")) != NULL) {
        if (ma_ktext_u64(&value, &v) && v < UINT32_MAX) {
            s->uid = (uid_t) v;
            s->has |= MA_PROCESS_HAS_UID;
        }
    } else if ((value = ma_ktext_field(line, "Threads")) != NULL) {
        if (ma_ktext_u64(&value, &v) && v <= UINT32_MAX) {
            s->threads = (uint32_t) v;
            s->has |= MA_PROCESS_HAS_THREADS;
        }
    } else if ((value = ma_ktext_field(line, "CapEff")) != NULL) {
        s->has |= parse_hex(value, &s->capabilities) ? (uint32_t) MA_PROCESS_HAS_CAPABILITIES : 0U;
        return 1; /* nothing behind it is of use, and the lists of cpus are long */
    }
    return 0;
}

struct io_sum {
    unsigned n;
    uint64_t bytes;
};

static int take_io_line(void *userdata, const char *line) {
    static const char *const keys[] = {"rchar", "wchar", "read_bytes", "write_bytes"};
    struct io_sum *sum = userdata;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *value = ma_ktext_field(line, keys[i]);
        uint64_t bytes;
        if (value != NULL && ma_ktext_u64(&value, &bytes)) {
            sum->bytes = ma_add_sat(sum->bytes, bytes);
            sum->n++;
        }
    }
    return 0;
}

int ma_process_io_parse(const char *text, uint64_t *ret_bytes) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    struct io_sum sum = {0};
    (void) ma_ktext_each_line_of(text, strlen(text), buf, take_io_line, &sum);
    if (sum.n != 4) {
        return -EINVAL;
    }
    *ret_bytes = sum.bytes;
    return 0;
}

static const char *skip_fields(const char *p, unsigned n) {
    while (n-- > 0 && p != NULL) {
        p = strchr(p, ' ');
        p = p != NULL ? p + 1 : NULL;
    }
    return p;
}

int ma_process_stat_parse(const char *text, struct ma_process_cpu *ret) {
    /* The name stands in brackets and may hold anything but a NUL: fields are counted from the last ')'. */
    const char *p = strrchr(text, ')');
    if (p == NULL || p[1] != ' ' || p[2] == '\0') {
        return -EINVAL;
    }
    struct ma_process_cpu cpu = {.state = p[2]};
    uint64_t user_ticks;
    uint64_t system_ticks;
    p = skip_fields(p, 12); /* 14 utime, 15 stime, 22 starttime: proc(5) */
    if (p == NULL || !ma_ktext_u64(&p, &user_ticks) || *p++ != ' ' ||
        !ma_ktext_u64(&p, &system_ticks)) {
        return -EINVAL;
    }
    p = skip_fields(p, 7);
    if (p == NULL || !ma_ktext_u64(&p, &cpu.start_ticks) || *p != ' ') {
        return -EINVAL;
    }
    uint64_t per_second = (uint64_t) sysconf(_SC_CLK_TCK);
    cpu.cpu_usec = ma_muldiv_sat(ma_add_sat(user_ticks, system_ticks), MA_USEC_PER_SEC, per_second);
    *ret = cpu;
    return 0;
}

/* Absolute, whole, within the root of this cgroup namespace, and not of a group that was removed. */
static bool copy_group_path(char to[MA_PROCESS_CGROUP_MAX], const char *path) {
    static const char removed[] = " (deleted)";
    size_t n = strlen(path);
    size_t n_removed = sizeof(removed) - 1;
    bool is_removed = n >= n_removed && strcmp(path + n - n_removed, removed) == 0;
    bool leaves_root = strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0');
    if (path[0] != '/' || n >= MA_PROCESS_CGROUP_MAX || is_removed || leaves_root ||
        strstr(path, "/../") != NULL) {
        return false;
    }
    memcpy(to, path, n + 1);
    return true;
}

/* "name=systemd", "cpu,cpuacct": is `memory` among the controllers before the ':'? */
static bool names_memory(const char *controllers, size_t n) {
    const char *end = controllers + n;
    for (const char *p = controllers; p < end;) {
        const char *comma = memchr(p, ',', (size_t) (end - p));
        size_t len = (size_t) ((comma != NULL ? comma : end) - p);
        if (len == 6 && memcmp(p, "memory", 6) == 0) {
            return true;
        }
        p += len + 1;
    }
    return false;
}

int ma_process_cgroup_parse_line(void *userdata, const char *line) {
    struct ma_process_cgroup *c = userdata;
    const char *controllers = strchr(line, ':');
    const char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL) {
        return 0;
    }
    controllers++;
    size_t n = (size_t) (path - controllers);
    path++;
    if (n == 0 && strncmp(line, "0:", 2) == 0) {
        c->has_v2 = copy_group_path(c->v2, path);
        return c->has_v2 ? 0 : -EINVAL;
    }
    if (names_memory(controllers, n)) {
        c->has_v1_memory = copy_group_path(c->v1_memory, path);
        return c->has_v1_memory ? 0 : -EINVAL;
    }
    return 0;
}
