/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main.c - memarbd: command line, lock, self-protection, loop. Only this file decides the exit status. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "daemon.h"
#include "self.h"

#define EXIT_USAGE 2
/* One arena for the loop, one for the rest: glibc would give each thread its own, and with it a few pages that are
 * never given back. */
#define MALLOC_ARENAS 2
/* Blocks of this size are mapped and given back whole. glibc would raise the bound to the size of the first one that is freed, and
 * keep room in the heap for a view of all guests, for the next one and for a line of the record: 3 MiB at 1,000 guests. Smaller:
 * calls and page faults for what is small; larger: those holes. Measured. */
#define MALLOC_MAP_BYTES (256 * 1024)
/* As in memarbd.service; here for hosts that start us without systemd. */
#define OOM_SCORE_ADJ (-900)

uint64_t ma_now_usec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

uint64_t ma_realtime_usec(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

enum ma_arm ma_daemon_arm(const struct ma_daemon *d) {
    return d->has_arm_override ? d->arm_override : d->config->arbiter.arm;
}

bool ma_daemon_is_dry_run(const struct ma_daemon *d) {
    bool is_reference = d->policy != NULL && d->policy->is_reference; /* for comparison only */
    return d->options.is_dry_run || d->config->arbiter.is_dry_run || is_reference;
}

bool ma_daemon_may_touch(const struct ma_daemon *d) {
    return !ma_daemon_is_dry_run(d) && ma_daemon_arm(d) > MA_ARM_OBSERVE;
}

static void usage(FILE *to) {
    (void) fprintf(
        to, "memarbd [OPTION...]\n"
            "Memory arbiter for KVM guests: see memarbd(8).\n\n"
            "  --config FILE    configuration (default " MA_CONFIG_FILE_DEFAULT ")\n"
            "  --run-dir DIR    state, intents, lock (default /run/memarb)\n"
            "  --dry-run        decide and show, touch nothing\n"
            "  --release        give back everything that an earlier memarbd took, then end\n"
            "  --verbose        log at debug level\n"
            "  --version        print the version\n"
            "  --help           print this\n");
}

enum {
    OPTION_CONFIG = 256,
    OPTION_RUN_DIR,
    OPTION_DRY_RUN,
    OPTION_RELEASE,
    OPTION_VERBOSE,
    OPTION_VERSION,
    OPTION_HELP,
    OPTION_PROC_ROOT,
    OPTION_SYS_ROOT,
    OPTION_CGROUP_ROOT
};

/* 0: go on; otherwise the exit status plus one. */
static int parse_options(int argc, char **argv, struct ma_daemon_options *options) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"run-dir", required_argument, NULL, OPTION_RUN_DIR},
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
        {"release", no_argument, NULL, OPTION_RELEASE},
        {"verbose", no_argument, NULL, OPTION_VERBOSE},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {"proc-root", required_argument, NULL, OPTION_PROC_ROOT},
        {"sys-root", required_argument, NULL, OPTION_SYS_ROOT},
        {"cgroup-root", required_argument, NULL, OPTION_CGROUP_ROOT},
        {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case OPTION_CONFIG:
            options->config_path = optarg;
            break;
        case OPTION_RUN_DIR:
            options->run_dir = optarg;
            break;
        case OPTION_DRY_RUN:
            options->is_dry_run = true;
            break;
        case OPTION_RELEASE:
            options->is_release_only = true;
            break;
        case OPTION_PROC_ROOT:
            options->proc_root = optarg;
            break;
        case OPTION_SYS_ROOT:
            options->sys_root = optarg;
            break;
        case OPTION_CGROUP_ROOT:
            options->cgroup_root = optarg;
            break;
        case OPTION_VERBOSE:
            ma_log_set_max_level(MA_LOG_DEBUG);
            break;
        case OPTION_VERSION:
            (void) printf("memarbd %s\n", MEMARB_VERSION);
            return EXIT_SUCCESS + 1;
        case OPTION_HELP:
            usage(stdout);
            return EXIT_SUCCESS + 1;
        default:
            usage(stderr);
            return EXIT_USAGE + 1;
        }
    }
    if (optind < argc) {
        (void) fprintf(stderr, "memarbd: unexpected argument '%s'\n", argv[optind]);
        usage(stderr);
        return EXIT_USAGE + 1;
    }
    return 0;
}

/* The descriptor is kept until the process ends: the lock with it. */
static int take_lock(const char *run_dir, struct ma_err *err) {
    char path[MA_PATH_MAX];
    if (strlen(run_dir) + sizeof("/state.json.bad.tmp") > sizeof(path)) {
        return ma_err_set(err, -ENAMETOOLONG, "--run-dir is too long: %s", run_dir);
    }
    if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
        return ma_err_set(err, -errno, "cannot make %s: %s", run_dir, strerror(errno));
    }
    (void) snprintf(path, sizeof(path), "%s/lock", run_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return ma_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return ma_err_set(err, -EBUSY,
                          "another memarbd is running (%s is locked); use 'memarbctl release "
                          "--all' to give back, "
                          "or stop it first",
                          path);
    }
    return 0;
}

static void protect_self(const struct ma_daemon *d) {
    struct ma_err err = {0};
    enum ma_self_lock lock = MA_SELF_LOCK_NONE;
    if (ma_self_lock_memory(&lock, &err) < 0 || lock != MA_SELF_LOCK_ON_FAULT) {
        ma_log(MA_LOG_WARNING, "own memory is not fully locked: %s", err.message);
    }
    int adj = 0;
    if (ma_self_protect_from_oom(d->options.proc_root, OOM_SCORE_ADJ, &adj, &err) < 0) {
        ma_log(MA_LOG_WARNING, "the kernel's OOM killer may take memarbd: %s", err.message);
    }
    ma_self_prefault_stack();
}

/* A guest takes three descriptors (monitor, process, cgroup) and some for a moment; the usual soft limit of 1,024 ends at
 * some 330 guests, and what cannot be opened is a guest that is not watched. Nothing here uses select(). */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        ma_log(MA_LOG_WARNING, "the limit of open files stays low: %s", strerror(errno));
    }
}

static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &set, NULL); /* before threads: the loop reads them */
    (void) signal(SIGPIPE, SIG_IGN);
}

static void warn_of_problem(void *userdata, const char *problem) {
    (void) userdata;
    ma_log(MA_LOG_WARNING, "%s", problem);
}

static int load_config(struct ma_daemon *d, struct ma_err *err) {
    const char *path = d->options.config_path;
    return d->options.is_release_only
               ? ma_config_load_for_release(path, warn_of_problem, NULL, &d->config, err)
               : ma_config_load(path, &d->config, err);
}

static int run(struct ma_daemon *d) {
    struct ma_err err = {0};
    int status = EXIT_FAILURE;
    if (take_lock(d->options.run_dir, &err) < 0 || load_config(d, &err) < 0) {
        ma_log(MA_LOG_ERR, "%s", err.message);
        return EXIT_FAILURE;
    }
    d->startup_config = d->config;
    if (ma_daemon_setup(d, &err) < 0) {
        ma_log(MA_LOG_ERR, "%s", err.message);
    } else {
        int r = sd_event_loop(d->event);
        status = r < 0 ? EXIT_FAILURE : r;
    }
    ma_daemon_teardown(d);
    return status;
}

int main(int argc, char **argv) {
    static struct ma_daemon d = {
        .options = {.run_dir = "/run/memarb",
                    .proc_root = "/proc",
                    .sys_root = "/sys",
                    .cgroup_root = "/sys/fs/cgroup"},
        .command_fd = -1,
    };
    int done = parse_options(argc, argv, &d.options);
    if (done != 0) {
        return done - 1;
    }
    (void) mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    (void) mallopt(M_MMAP_THRESHOLD, MALLOC_MAP_BYTES);
    raise_descriptor_limit();
    block_signals();
    protect_self(&d);
    return run(&d);
}
