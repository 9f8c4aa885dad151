/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admit-watchdog.c - libvirt waits for its hook, and holds the guest's lock meanwhile: so the hook ends in time also where
 * nothing in it looks at a clock (a definition that takes the parser seconds, a configuration on a file system that
 * hangs, a machine that swaps). Nobody has judged then: WhenDown= says what becomes of the guest, and while that is not
 * read yet it starts.
 *
 * Only what may be called in a signal handler: no syslog(), the log's socket is written to by hand. */
#include "admit-watchdog.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "cli.h"

/* LOG_DAEMON | LOG_WARNING */
#define LOG_PRIORITY "<28>memarbctl: "

static const char lets_in[] =
    LOG_PRIORITY "memarb: a guest is let in unjudged: no verdict in time\n";
static const char refuses[] =
    LOG_PRIORITY "memarb: a guest is refused: no verdict in time and [Admission] WhenDown=refuse\n";
static volatile sig_atomic_t is_refusing;

static void on_overdue(int signal_number) {
    static const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    const char *text = is_refusing ? refuses : lets_in;
    size_t len = (is_refusing ? sizeof(refuses) : sizeof(lets_in)) - 1;
    size_t skip = sizeof(LOG_PRIORITY) - 1;
    (void) signal_number;
    ssize_t n = write(STDERR_FILENO, text + skip, len - skip);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) &log, sizeof(log)) == 0) {
        n = send(fd, text, len - 1, MSG_NOSIGNAL);
    }
    (void) n; /* there is nobody left to tell */
    _exit(is_refusing ? MA_EXIT_REFUSED : MA_EXIT_OK);
}

void ma_admit_watch_refuses(bool should_refuse) {
    is_refusing = should_refuse;
}

void ma_admit_watch(uint64_t usec) {
    struct sigaction action = {.sa_handler = on_overdue};
    struct itimerval timer = {.it_value = {.tv_sec = (time_t) (usec / MA_USEC_PER_SEC),
                                           .tv_usec = (suseconds_t) (usec % MA_USEC_PER_SEC)}};
    (void) sigaction(SIGALRM, &action, NULL);
    (void) setitimer(ITIMER_REAL, &timer, NULL);
}
