/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* link.c - one channel: connecting, whose it is, reading within its allowance, asking.
 *
 * Seen with QEMU 7.2 and libvirt 9.0: the peer of a channel's socket is QEMU by SO_PEERCRED, also where libvirt made the
 * socket (QEMU calls listen() on what it is handed); a socket serves one client, a second one's connect() succeeds and
 * its words wait; what a guest wrote while nobody read comes after the next connect, up to some 290 KB of it; what we
 * send before the guest opens its port waits for it.
 *
 * What one guest can cost, whatever it writes:
 *   L1  a channel is read once in READ_PAUSE_USEC, doubled each time that more waits by then: one that is so hasty is out
 *       of the epoll set until it has nothing to say, so that it does not wake the loop either
 *   L2  a read is MA_AGENT_READ_MAX_BYTES at most, and of these the last TAIL_BYTES are parsed: an agent's newest report
 *       stands for those before it
 *   L3  a flood (book.c) is closed, or left unread, for QUARANTINE_USEC, twice as long each time; the guest's writes wait */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent-internal.h"
#include "bytes.h"

/* Shorter: a guest that writes without end is read more often; longer: an alarm waits behind the line before it. Half of
 * what lies between two lines of an honest agent. Doubled to 0.8 s: a wake-up costs more than what is read with it. */
#define READ_PAUSE_USEC      (50 * MA_USEC_PER_MSEC)
#define READ_PAUSE_DOUBLINGS 4U
/* Less: the newest line is cut where it is a long one; more: worthless lines are parsed. Twice the longest line: 2 KiB of the
 * dearest kind (short pairs that nobody knows) are parsed in 20 us. */
#define TAIL_BYTES (2U * MAG_LINE_MAX)
/* A channel that cannot be reached, or breaks, is tried again after this, doubled each time to the limit. Shorter: work for
 * nothing where no guest has an agent; longer: one that comes up waits. */
#define RETRY_USEC      MA_USEC_PER_SEC
#define RETRY_DOUBLINGS 4U
/* A process that is not known yet is asked for again. As the monitors. */
#define IDENTIFY_AGAIN_USEC (500 * MA_USEC_PER_MSEC)
/* ... for so long. Shorter: a guest that libvirt lists late dials again; longer: strangers keep places. */
#define UNKNOWN_MAX_USEC (30 * MA_USEC_PER_SEC)
/* An agent that has not answered is asked again, doubled each time: the first may have been lost, or it starts later. */
#define ASK_AGAIN_USEC (2 * MA_USEC_PER_SEC)
#define ASK_DOUBLINGS  5U
/* Too short: a flooding guest costs its share of the loop again and again; too long: one slip of an honest agent makes it
 * unheard. Guessed. */
#define QUARANTINE_USEC      (30 * MA_USEC_PER_SEC)
#define QUARANTINE_DOUBLINGS 4U
/* A channel that was good for so long has its floods forgotten. */
#define GOOD_AFTER_USEC (600 * MA_USEC_PER_SEC)
/* Reports of a guest that matters: as fast as the protocol has it, and at least each two seconds. Of others: half a second,
 * ten seconds. */
#define MATTERS_FASTEST_MSEC 100U
#define MATTERS_SLOWEST_MSEC 2000U
#define REST_FASTEST_MSEC    500U
#define REST_SLOWEST_MSEC    10000U

static uint64_t doubled(uint64_t usec, unsigned times, unsigned most) {
    return usec << (times < most ? times : most);
}

static void tell_link(const struct ma_agent *agent, enum ma_agent_link link, const char *reason) {
    const struct ma_agent_source_ops *ops = &agent->source->ops;
    ops->on_link(ops->userdata, agent->uuid, link, agent->quarantined_until_usec, reason);
}

void ma_agent_leave_muted(struct ma_agent *agent) {
    struct ma_agent **at = &agent->source->first_muted;

    if (!agent->is_muted) {
        return;
    }
    while (*at != agent) {
        at = &(*at)->next_muted;
    }
    *at = agent->next_muted;
    agent->is_muted = false;
}

void ma_agent_close(struct ma_agent *agent, uint64_t retry_usec) {
    if (agent->fd >= 0) {
        (void) close(agent->fd); /* leaves the epoll set by itself */
        agent->fd = -1;
    }
    if (agent->stage == MA_AGENT_OPEN && agent->quarantined_until_usec == 0) {
        tell_link(agent, MA_AGENT_LINK_NONE, NULL);
    }
    agent->stage = MA_AGENT_WAITING;
    agent->pid = 0;
    agent->next_usec = ma_add_sat(agent->source->now_usec, retry_usec);
    agent->lines = (struct mag_lines){0};
    ma_agent_leave_muted(agent);
    if (!agent->is_of_definition) {
        agent->uuid[0] = '\0';
    }
    if (agent->path[0] == '\0') {
        agent->is_dead = true; /* it dials again by itself */
    }
}

static void retry_later(struct ma_agent *agent) {
    ma_agent_close(agent, doubled(RETRY_USEC, agent->failures, RETRY_DOUBLINGS));
    agent->failures++;
}

static void quarantine(struct ma_agent *agent, const char *reason) {
    struct ma_agent_source *source = agent->source;
    uint64_t usec = doubled(QUARANTINE_USEC, agent->floods, QUARANTINE_DOUBLINGS);

    agent->floods++;
    agent->quarantined_until_usec = source->now_usec + usec;
    tell_link(agent, MA_AGENT_LINK_QUARANTINED, reason);
    if (agent->path[0] != '\0') {
        ma_agent_close(agent, usec);
    } else {
        /* Closed, QEMU dials again each second: kept open and unread, it waits. */
        (void) epoll_ctl(source->epoll_fd, EPOLL_CTL_DEL, agent->fd, NULL);
        ma_agent_leave_muted(agent);
    }
    agent->next_usec = agent->quarantined_until_usec;
    source->next_due_usec = ma_min_u64(source->next_due_usec, agent->next_usec);
}

bool ma_agent_send(struct ma_agent *agent, const struct mag_request *request) {
    /* Behind an empty line: what is before may have been cut. */
    char line[MAG_LINE_MAX + 1] = "\n";
    size_t length = 1 + mag_request_format(request, line + 1);
    ssize_t n = send(agent->fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n == (ssize_t) length) {
        return true;
    }
    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        retry_later(agent);
    }
    return false;
}

void ma_agent_ask(struct ma_agent *agent) {
    struct mag_request request = {
        .kind = MAG_REQUEST_RATE,
        .token = agent->book.token,
        .now_usec = ma_min_u64(agent->source->now_usec, MAG_COUNT_MAX),
        .fastest_msec = agent->matters ? MATTERS_FASTEST_MSEC : REST_FASTEST_MSEC,
        .slowest_msec = agent->matters ? MATTERS_SLOWEST_MSEC : REST_SLOWEST_MSEC,
    };

    (void) ma_agent_send(agent, &request);
    if (agent->stage == MA_AGENT_OPEN) {
        agent->next_usec =
            agent->source->now_usec + doubled(ASK_AGAIN_USEC, agent->asked, ASK_DOUBLINGS);
        agent->asked += agent->asked < ASK_DOUBLINGS ? 1 : 0;
    }
}

static int watch(struct ma_agent *agent) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = agent};
    return epoll_ctl(agent->source->epoll_fd, EPOLL_CTL_ADD, agent->fd, &event) < 0 ? -errno : 0;
}

/* Whose it is, is known from here on; it is read. */
static void begin(struct ma_agent *agent) {
    agent->stage = MA_AGENT_OPEN;
    agent->failures = 0;
    agent->asked = 0;
    agent->opened_usec = agent->source->now_usec;
    ma_agent_book_open(&agent->book, ma_agent_source_token(agent->source), agent->source->now_usec);
    if (watch(agent) < 0) {
        retry_later(agent);
        return;
    }
    tell_link(agent, MA_AGENT_LINK_UP, NULL);
    ma_agent_ask(agent);
}

/* A socket whose other end is closed by now says nothing of who had it: its process may be another one's number. */
static bool is_peer_there(int fd) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void identify(struct ma_agent *agent) {
    struct ma_agent_source *source = agent->source;
    char uuid[MA_SOURCE_UUID_MAX] = "";
    struct ucred cred;
    socklen_t length = sizeof(cred);

    if (getsockopt(agent->fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0 || cred.pid <= 0) {
        retry_later(agent);
        return;
    }
    agent->pid = cred.pid;
    int r = source->ops.identify(source->ops.userdata, cred.pid, uuid);
    if (r == -EAGAIN && source->now_usec < agent->opened_usec + UNKNOWN_MAX_USEC) {
        agent->next_usec = source->now_usec + IDENTIFY_AGAIN_USEC;
        return;
    }
    bool is_anothers = agent->is_of_definition && strcmp(agent->uuid, uuid) != 0;
    if (r == 0 && !is_anothers) {
        (void) snprintf(agent->uuid, sizeof(agent->uuid), "%s", uuid);
    }
    if (r < 0 || is_anothers || ma_agent_source_has_other(source, agent) ||
        !is_peer_there(agent->fd)) {
        ma_log(ma_agent_source_complaint_level(source),
               "an agent's channel of process %d is refused: %s", (int) cred.pid,
               is_anothers ? "it is not the process of that guest"
                           : "no guest, or a second channel");
        retry_later(agent);
        return;
    }
    begin(agent);
}

void ma_agent_adopt(struct ma_agent *agent, int fd) {
    agent->fd = fd;
    agent->stage = MA_AGENT_UNKNOWN;
    agent->opened_usec = agent->source->now_usec;
    identify(agent);
}

static void try_connect(struct ma_agent *agent) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, agent->path, strlen(agent->path) + 1);
    agent->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* a full backlog is EAGAIN, at once */
    if (agent->fd < 0 || connect(agent->fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        retry_later(agent);
        return;
    }
    agent->stage = MA_AGENT_UNKNOWN;
    agent->opened_usec = agent->source->now_usec;
    identify(agent);
}

/* A quarantine of a channel that stayed open is over. */
static void end_quarantine(struct ma_agent *agent) {
    agent->quarantined_until_usec = 0;
    agent->lines = (struct mag_lines){0};
    begin(agent);
}

void ma_agent_tick(struct ma_agent *agent) {
    if (agent->is_dead || agent->source->now_usec < agent->next_usec) {
        return;
    }
    switch (agent->stage) {
    case MA_AGENT_WAITING:
        agent->quarantined_until_usec = 0;
        try_connect(agent);
        break;
    case MA_AGENT_UNKNOWN:
        identify(agent);
        break;
    case MA_AGENT_OPEN:
        if (agent->quarantined_until_usec != 0) {
            end_quarantine(agent);
        } else if (!agent->book.is_answered) {
            ma_agent_ask(agent);
        } else {
            agent->next_usec = UINT64_MAX;
        }
        break;
    }
}

/* Under another token: what was said before counts no more. At most once in ASK_AGAIN_USEC. */
static void renew(struct ma_agent *agent) {
    if (agent->book.is_answered || agent->source->now_usec >= agent->next_usec) {
        ma_agent_book_renew(&agent->book, ma_agent_source_token(agent->source));
        agent->asked = 0;
        ma_agent_ask(agent);
        agent->source->next_due_usec = 0;
    }
}

static bool take_line(void *userdata, const char *line, size_t length) {
    struct ma_agent *agent = userdata;
    struct ma_agent_source *source = agent->source;
    struct ma_agent_claims claims;

    switch (ma_agent_book_line(&agent->book, line, length, source->now_usec, &claims)) {
    case MA_AGENT_COUNTS:
        agent->asked = 0;
        if (source->now_usec >= agent->opened_usec + GOOD_AFTER_USEC) {
            agent->floods = 0;
        }
        source->ops.on_report(source->ops.userdata, agent->uuid, &claims);
        break;
    case MA_AGENT_UNASKED:
        /* An agent that began anew has not read the token: it is asked again. */
        if (agent->book.is_answered) {
            renew(agent);
        }
        break;
    case MA_AGENT_LATE:
        renew(agent);
        break;
    case MA_AGENT_BAD:
    case MA_AGENT_REPLAYED:
        break;
    }
    return agent->fd >= 0;
}

static void mute(struct ma_agent *agent) {
    struct ma_agent_source *source = agent->source;

    if (epoll_ctl(source->epoll_fd, EPOLL_CTL_DEL, agent->fd, NULL) == 0) {
        agent->is_muted = true;
        agent->next_muted = source->first_muted;
        source->first_muted = agent;
        source->next_read_usec = ma_min_u64(source->next_read_usec, agent->read_again_usec);
    }
}

/* Of much that came at once only the end: from the first line that begins within TAIL_BYTES of it. */
static void take_newest(struct ma_agent *agent, const char *data, size_t length) {
    uint64_t dropped = 0;

    if (length > TAIL_BYTES) {
        const char *tail = data + length - TAIL_BYTES;
        const char *newline = memchr(tail, '\n', TAIL_BYTES);
        /* No line ends in there, so none that is short enough begins there. */
        agent->lines = (struct mag_lines){.is_dropping = newline == NULL};
        if (newline == NULL) {
            return;
        }
        length = (size_t) (data + length - (newline + 1));
        data = newline + 1;
    }
    (void) mag_lines_feed(&agent->lines, data, length, take_line, agent, &dropped);
}

/* false: nothing is there. */
static bool read_some(struct ma_agent *agent) {
    struct ma_agent_source *source = agent->source;
    ssize_t n = recv(agent->fd, source->data, sizeof(source->data), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    agent->read_again_usec = ma_add_sat(
        source->now_usec, doubled(READ_PAUSE_USEC, agent->n_hasty, READ_PAUSE_DOUBLINGS));
    if (n <= 0) {
        retry_later(agent);
    } else if (!ma_agent_book_pay(&agent->book, (size_t) n, source->now_usec)) {
        quarantine(agent, "it says more than any agent has to say");
    } else {
        take_newest(agent, source->data, (size_t) n);
    }
    return true;
}

void ma_agent_read(struct ma_agent *agent) {
    if (agent->source->now_usec < agent->read_again_usec) {
        mute(agent);
        return;
    }
    agent->n_hasty = 0;
    (void) read_some(agent);
}

void ma_agent_read_muted(struct ma_agent_source *source) {
    struct ma_agent *next;

    source->next_read_usec = UINT64_MAX;
    for (struct ma_agent *agent = source->first_muted; agent != NULL; agent = next) {
        next = agent->next_muted;
        if (source->now_usec >= agent->read_again_usec) {
            agent->n_hasty += agent->n_hasty < READ_PAUSE_DOUBLINGS ? 1 : 0;
            if (!read_some(agent)) {
                ma_agent_leave_muted(agent);
                if (watch(agent) < 0) {
                    retry_later(agent);
                }
            }
        }
        if (agent->is_muted) {
            source->next_read_usec = ma_min_u64(source->next_read_usec, agent->read_again_usec);
        }
    }
}
