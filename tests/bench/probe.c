/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* probe.c - loaded into memarbd (LD_PRELOAD) by the benchmark of its reaction: hands it a pressure event at a moment that
 * the driver chooses, and notes when what it does about it leaves. memarbd itself is the one that is shipped.
 *
 *   - MEMARB_BENCH_PRESSURE, opened for writing, becomes a TCP connection to 127.0.0.1:MEMARB_BENCH_PORT. What memarbd
 *     writes (its trigger) reaches the driver; an out-of-band byte from the driver makes EPOLLPRI readable, as the
 *     kernel does for a trigger, and is taken off before epoll_wait returns, as the kernel's poll does.
 *   - each send() of a balloon command is noted as it returns: the command is in the peer's socket by then.
 *   - through libvirt: virDomainSetMemoryFlags, as it is called and as it returns.
 *   - allocations of the loop's thread between the event and the last command, and until the cycle's end.
 *   - MEMARB_BENCH_DELAY_USEC: sleeps so long at each event, to check that what is measured moves by as much.
 *
 * The notes lie in MEMARB_BENCH_MAP, a file of the driver's; reaction.py has the same layout. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 4096U

struct notes {
    _Atomic uint64_t events;            /* seen so far; the rest is of the last one */
    _Atomic uint64_t readable_nsec;     /* epoll_wait returned with it */
    _Atomic uint64_t n_left;            /* commands that left */
    _Atomic uint64_t n_returned;        /* calls of libvirt's that returned */
    _Atomic uint64_t allocations;       /* of the loop's thread, up to the last send */
    _Atomic uint64_t cycle_allocations; /* and up to the end of the cycle, once it has ended */
    _Atomic uint64_t is_cycle_over;
    _Atomic uint64_t first_cpu_nsec; /* of the loop's thread, from the event to the first command */
    _Atomic uint64_t first_faults;   /* pages touched for the first time on that way */
    _Atomic uint64_t first_switches; /* times that it had to leave the processor on that way */
    _Atomic uint64_t left_nsec[COMMANDS_MAX];
    _Atomic uint64_t returned_nsec[COMMANDS_MAX];
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static struct notes *notes;
static const char *pressure_path;
static int pressure_fd = -1;
static struct timespec delay;
static bool has_delay;
static __thread bool is_counting;
static __thread uint64_t allocations;
static __thread struct rusage usage_before;
static __thread uint64_t cpu_before_nsec;

static int (*real_open64)(const char *, int, ...);
static int (*real_openat64)(int, const char *, int, ...);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static int (*real_set_memory)(virDomainPtr, unsigned long, unsigned int);

static uint64_t now_nsec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static uint64_t cpu_nsec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    abort();
}

static uint64_t number_of(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

/* libvirt's is looked up when it is called: it is there only where memarbd is linked with it. */
static void __attribute__((constructor)) begin(void) {
    const char *path = getenv("MEMARB_BENCH_MAP");
    *(void **) &real_open64 = dlsym(RTLD_NEXT, "open64");
    *(void **) &real_openat64 = dlsym(RTLD_NEXT, "openat64");
    *(void **) &real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
    *(void **) &real_send = dlsym(RTLD_NEXT, "send");
    *(void **) &real_set_memory = dlsym(RTLD_NEXT, "virDomainSetMemoryFlags");
    int fd = path != NULL ? real_open64(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        die("MEMARB_BENCH_MAP");
    }
    notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (notes == MAP_FAILED) {
        die("mmap");
    }
    (void) close(fd);
    pressure_path = getenv("MEMARB_BENCH_PRESSURE");
    uint64_t usec = number_of("MEMARB_BENCH_DELAY_USEC");
    has_delay = usec > 0;
    delay = (struct timespec){.tv_sec = (time_t) (usec / 1000000U),
                              .tv_nsec = (long) (usec % 1000000U * 1000U)};
}

static int connect_driver(void) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t) number_of("MEMARB_BENCH_PORT")),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &a, sizeof(a)) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        die("the driver's socket");
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    pressure_fd = fd;
    return fd;
}

static bool is_trigger(const char *path, int flags) {
    return pressure_path != NULL && (flags & O_ACCMODE) == O_RDWR &&
           strcmp(path, pressure_path) == 0;
}

static mode_t mode_of(int flags, va_list ap) {
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

int open64(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return is_trigger(path, flags) ? connect_driver() : real_open64(path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return is_trigger(path, flags) ? connect_driver() : real_openat64(dir_fd, path, flags, mode);
}

static void begin_event(void) {
    char byte;
    (void) recv(pressure_fd, &byte, 1, MSG_OOB);
    notes->readable_nsec = now_nsec();
    notes->n_left = 0;
    notes->n_returned = 0;
    notes->allocations = 0;
    notes->is_cycle_over = 0;
    atomic_fetch_add(&notes->events, 1);
    if (has_delay) {
        (void) nanosleep(&delay, NULL);
    }
    allocations = 0;
    is_counting = true;
    (void) getrusage(RUSAGE_THREAD, &usage_before);
    cpu_before_nsec = cpu_nsec();
}

static void note_cost(void) {
    struct rusage u;
    notes->first_cpu_nsec = cpu_nsec() - cpu_before_nsec;
    (void) getrusage(RUSAGE_THREAD, &u);
    notes->first_faults = (uint64_t) (u.ru_minflt - usage_before.ru_minflt);
    notes->first_switches =
        (uint64_t) (u.ru_nvcsw - usage_before.ru_nvcsw + u.ru_nivcsw - usage_before.ru_nivcsw);
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_msec) {
    if (is_counting && notes->n_left > 0) { /* the cycle that sent them is over */
        is_counting = false;
        notes->cycle_allocations = allocations;
        notes->is_cycle_over = 1;
    }
    int n = real_epoll_wait(epoll_fd, events, max, timeout_msec);
    for (int i = 0; i < n; i++) {
        if ((events[i].events & EPOLLPRI) != 0 && pressure_fd >= 0) {
            begin_event();
        }
    }
    return n;
}

static void note_left(uint64_t nsec) {
    uint64_t i = atomic_fetch_add(&notes->n_left, 1);
    if (i < COMMANDS_MAX) {
        notes->left_nsec[i] = nsec;
    }
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
    static const char mark[] = "{\"execute\":\"balloon\"";
    ssize_t n = real_send(fd, data, length, flags);
    int saved = errno;
    if (n > 0 && memmem(data, length, mark, sizeof(mark) - 1) != NULL) {
        note_left(now_nsec());
        notes->allocations = allocations;
        if (notes->n_left == 1) {
            note_cost();
        }
    }
    errno = saved;
    return n;
}

int virDomainSetMemoryFlags(virDomainPtr domain, unsigned long kib, unsigned int flags) {
    note_left(now_nsec());
    int r = real_set_memory(domain, kib, flags);
    uint64_t i = atomic_fetch_add(&notes->n_returned, 1);
    if (i < COMMANDS_MAX) {
        notes->returned_nsec[i] = now_nsec();
    }
    return r;
}

void *malloc(size_t size) {
    allocations += is_counting ? 1U : 0U;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    allocations += is_counting ? 1U : 0U;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    allocations += is_counting ? 1U : 0U;
    return __libc_realloc(old, size);
}
