/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather-host.c - the kernel's files and the names of processes. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "cleanup.h"
#include "gather.h"

#define PATH_BYTES 512

/* false: it cannot be read. */
static bool read_file(const char *root, const char *path, char *buf, size_t size) {
    char full[PATH_BYTES];
    (void) snprintf(full, sizeof(full), "%s%s", root, path);
    ma_auto_close int fd = open(full, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;
    buf[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

static enum ma_known known(bool is_so) {
    return is_so ? MA_YES : MA_NO;
}

static void gather_cgroup(const char *root, struct ma_doctor_facts *f) {
    char text[512];
    bool is_unified = read_file(root, "/sys/fs/cgroup/cgroup.controllers", text, sizeof(text));
    f->has_cgroup2 = known(is_unified);
    f->has_cgroup2_memory = is_unified ? known(strstr(text, "memory") != NULL) : MA_UNKNOWN;
}

static void gather_swap(const char *root, struct ma_doctor_facts *f) {
    static const char label[] = "SwapTotal:";
    char text[4096];
    const char *amount =
        read_file(root, "/proc/meminfo", text, sizeof(text)) ? strstr(text, label) : NULL;
    if (amount != NULL) {
        amount += sizeof(label) - 1;
        amount += strspn(amount, " \t");
        /* The kernel writes no leading zero. */
        f->has_swap = *amount >= '0' && *amount <= '9' ? known(*amount != '0') : MA_UNKNOWN;
    }
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* A script runs under its own name, or under its interpreter's with the script as first or second word. */
static uint32_t arbiter_of(const char *root, const char *pid) {
    char path[PATH_BYTES], comm[64], words[512] = "";
    (void) snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
    if (!read_file(root, path, comm, sizeof(comm))) {
        return 0;
    }
    comm[strcspn(comm, "\n")] = '\0';
    uint32_t bit = ma_arbiter_of(comm);
    bool is_interpreter = strncmp(comm, "python", 6) == 0 || strncmp(comm, "perl", 4) == 0 ||
                          strcmp(comm, "bash") == 0 || strcmp(comm, "sh") == 0;
    (void) snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
    if (bit != 0 || !is_interpreter || !read_file(root, path, words, sizeof(words))) {
        return bit;
    }
    const char *word = words;
    for (int i = 0; i < 3 && bit == 0 && *word != '\0'; i++) {
        bit = ma_arbiter_of(base_name(word));
        word += strlen(word) + 1;
        if (word >= words + sizeof(words)) {
            break;
        }
    }
    return bit;
}

static void gather_processes(const char *root, struct ma_doctor_facts *f) {
    char path[PATH_BYTES];
    (void) snprintf(path, sizeof(path), "%s/proc", root);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
            f->arbiters |= arbiter_of(root, entry->d_name);
        }
    }
    if (folder != NULL) {
        (void) closedir(folder);
    }
}

void ma_gather_host(const char *root, struct ma_doctor_facts *facts) {
    char text[64];
    facts->is_root = geteuid() == 0;
    facts->has_psi = known(read_file(root, "/proc/pressure/memory", text, sizeof(text)));
    gather_cgroup(root, facts);
    gather_swap(root, facts);
    if (read_file(root, "/sys/kernel/mm/ksm/run", text, sizeof(text))) {
        facts->is_ksm_running = known(text[0] == '1');
    }
    gather_processes(root, facts);
}
