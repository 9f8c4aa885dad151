/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* source.c - the set of channels, the listener, the globs. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent-internal.h"
#include "bytes.h"
#include "dial-in.h"

/* New channel sockets are looked for this often, as the monitors'. */
#define GLOB_PERIOD_USEC (5 * MA_USEC_PER_SEC)
/* Channels that dial in, and channels that are read, in one dispatch. More: a storm, or a flood of many guests, takes more
 * of the loop (a read and its lines are 5 to 12 us); fewer: 1,000 agents at the full rate need more turns of it. */
#define ACCEPT_MAX 32
#define EVENTS_MAX 32
/* The pause where a dispatch was full. Shorter: the loop has no turn for others between two of them; longer: 1,000 agents
 * at the full rate, 10,000 lines a second, are not read in time. */
#define FULL_PAUSE_USEC (2 * MA_USEC_PER_MSEC)
/* Its channel, and its next one while the end of the last is not seen yet. More: one process takes everybody's places. */
#define CHANNELS_PER_PROCESS_MAX 2U
/* Between two dispatches. Shorter: the loop wakes for each of 10,000 lines a second; longer: an alarm waits. */
#define PAUSE_USEC (10 * MA_USEC_PER_MSEC)
/* Shorter: a channel that is refused again and again fills the journal; longer: an operator waits for the reason. Guess. */
#define COMPLAINT_PERIOD_USEC (10 * MA_USEC_PER_SEC)

/* Not to be guessed by a guest that has seen others: it could write today what is to count under the next one. */
uint64_t ma_agent_source_token(struct ma_agent_source *source) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t) sizeof(random)) {
        /* The kernel has none yet, or is asked in vain: another one at least. */
        struct timespec now;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        random = source->last_token + 1 + (uint64_t) now.tv_nsec;
    }
    source->last_token = random % MAG_COUNT_MAX + 1;
    return source->last_token;
}

int ma_agent_source_create(const struct ma_agent_source_config *config,
                           const struct ma_agent_source_ops *ops,
                           struct ma_agent_source **ret,
                           struct ma_err *err) {
    struct ma_agent_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    source->config = *config;
    source->ops = *ops;
    source->listen_fd = -1;
    source->next_read_usec = UINT64_MAX;
    source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    source->agents =
        calloc(config->max_agents > 0 ? config->max_agents : 1, sizeof(*source->agents));
    int r = 0;
    if (source->epoll_fd < 0 || source->agents == NULL) {
        r = ma_err_set(err, -ENOMEM, "cannot set up the agents' channels: %s", strerror(errno));
    }
    if (r == 0 && config->listen_path != NULL && config->listen_path[0] != '\0') {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        struct ma_err why = {0};
        source->listen_fd =
            ma_dial_in_listen(config->listen_path, config->listen_uid, "AgentListen=", &why);
        if (source->listen_fd < 0) { /* guests fare without agents; memarbd starts */
            ma_log(MA_LOG_WARNING, "no guest agent can dial in: %s", why.message);
        } else if (epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, source->listen_fd, &event) < 0) {
            r = ma_err_set(err, -errno, "epoll: %s", strerror(errno));
        }
    }
    if (r < 0) {
        ma_agent_source_destroy(source);
        return r;
    }
    *ret = source;
    return 0;
}

static void free_agent(struct ma_agent *agent) {
    ma_agent_leave_muted(agent);
    if (agent->fd >= 0) {
        (void) close(agent->fd);
    }
    free(agent);
}

void ma_agent_source_destroy(struct ma_agent_source *source) {
    if (source == NULL) {
        return;
    }
    for (size_t i = 0; i < source->n_agents; i++) {
        free_agent(source->agents[i]);
    }
    ma_dial_in_close(source->listen_fd, source->config.listen_path);
    if (source->epoll_fd >= 0) {
        (void) close(source->epoll_fd);
    }
    free(source->agents);
    free(source);
}

enum ma_log_level ma_agent_source_complaint_level(struct ma_agent_source *source) {
    if (source->now_usec < source->quiet_until_usec) {
        return MA_LOG_DEBUG;
    }
    source->quiet_until_usec = source->now_usec + COMPLAINT_PERIOD_USEC;
    return MA_LOG_WARNING;
}

static struct ma_agent *add_agent(struct ma_agent_source *source, const char *path) {
    struct ma_agent *agent =
        source->n_agents < source->config.max_agents && strlen(path) < MA_AGENT_PATH_MAX
            ? calloc(1, sizeof(*agent))
            : NULL;
    if (agent == NULL) {
        ma_log(ma_agent_source_complaint_level(source),
               "no room for an agent's channel %s: raise MaxGuests=", path);
        return NULL;
    }
    agent->source = source;
    agent->fd = -1;
    memcpy(agent->path, path, strlen(path) + 1);
    source->agents[source->n_agents++] = agent;
    source->next_due_usec = 0;
    return agent;
}

static struct ma_agent *find(const struct ma_agent_source *source, const char *uuid) {
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        if (!agent->is_dead && strcmp(agent->uuid, uuid) == 0) {
            return agent;
        }
    }
    return NULL;
}

bool ma_agent_source_has_other(const struct ma_agent_source *source, const struct ma_agent *agent) {
    for (size_t i = 0; i < source->n_agents; i++) {
        const struct ma_agent *other = source->agents[i];
        if (other != agent && !other->is_dead && other->stage == MA_AGENT_OPEN &&
            strcmp(other->uuid, agent->uuid) == 0) {
            return true;
        }
    }
    return false;
}

void ma_agent_source_set_path(struct ma_agent_source *source, const char *uuid, const char *path) {
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        if (!agent->is_of_definition || agent->is_dead || strcmp(agent->uuid, uuid) != 0) {
            continue;
        }
        if (strcmp(agent->path, path) == 0) {
            return;
        }
        agent->is_dead = true;
        source->next_due_usec = 0;
    }
    struct ma_agent *agent = path[0] != '\0' ? add_agent(source, path) : NULL;
    if (agent != NULL) {
        agent->is_of_definition = true;
        (void) snprintf(agent->uuid, sizeof(agent->uuid), "%s", uuid);
    }
}

void ma_agent_source_forget(struct ma_agent_source *source, const char *uuid) {
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        if (strcmp(agent->uuid, uuid) == 0) {
            agent->is_dead = agent->is_of_definition || agent->path[0] == '\0';
            if (!agent->is_dead) {
                ma_agent_close(agent, 0); /* its socket's file may still be there */
            }
            source->next_due_usec = 0;
        }
    }
}

void ma_agent_source_set_matters(struct ma_agent_source *source, const char *uuid, bool matters) {
    struct ma_agent *agent = find(source, uuid);
    if (agent == NULL || agent->matters == matters) {
        return;
    }
    agent->matters = matters;
    if (agent->stage == MA_AGENT_OPEN && agent->quarantined_until_usec == 0) {
        ma_agent_ask(agent);
        source->next_due_usec = 0;
    }
}

uint64_t ma_agent_source_announce(struct ma_agent_source *source,
                                  const char *uuid,
                                  const struct ma_agent_squeeze *squeeze) {
    struct ma_agent *agent = find(source, uuid);
    if (agent == NULL || agent->stage != MA_AGENT_OPEN || !agent->book.is_answered ||
        agent->quarantined_until_usec != 0) {
        return 0;
    }
    struct mag_request request = {
        .kind = MAG_REQUEST_SQUEEZE,
        .token = agent->book.token,
        /* not source->now_usec: the last dispatch may be seconds ago */
        .now_usec = ma_min_u64(squeeze->now_usec, MAG_COUNT_MAX),
        .id = ++agent->next_squeeze_id,
        .target_bytes = squeeze->target_bytes,
        .take_bytes = squeeze->take_bytes,
        .deadline_msec =
            ma_min_u64(squeeze->deadline_usec / MA_USEC_PER_MSEC, MAG_DEADLINE_MAX_MSEC),
    };
    return ma_agent_send(agent, &request) ? request.id : 0;
}

static bool has_too_many(const struct ma_agent_source *source, pid_t pid) {
    unsigned n = 0;
    for (size_t i = 0; i < source->n_agents; i++) {
        n += source->agents[i]->pid == pid && !source->agents[i]->is_dead ? 1 : 0;
    }
    return n >= CHANNELS_PER_PROCESS_MAX;
}

static void accept_agents(struct ma_agent_source *source) {
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(source->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return; /* EAGAIN; EMFILE and the like: the guest's QEMU dials again */
        }
        struct ucred cred;
        socklen_t length = sizeof(cred);
        bool is_good = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) == 0 &&
                       cred.pid > 0 && !has_too_many(source, cred.pid);
        struct ma_agent *agent = is_good ? add_agent(source, "") : NULL;
        if (agent == NULL) {
            (void) close(fd);
        } else {
            ma_agent_adopt(agent, fd);
        }
    }
}

static void found_path(struct ma_agent_source *source, const char *path) {
    for (size_t i = 0; i < source->n_agents; i++) {
        if (strcmp(source->agents[i]->path, path) == 0) {
            source->agents[i]->is_seen = true;
            return;
        }
    }
    struct ma_agent *agent = add_agent(source, path);
    if (agent != NULL) {
        agent->is_seen = true;
    }
}

static void look_for_sockets(struct ma_agent_source *source) {
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        agent->is_seen = agent->path[0] == '\0' || agent->is_of_definition;
    }
    for (size_t i = 0; i < source->config.n_globs; i++) {
        glob_t found = {0};
        if (glob(source->config.globs[i], 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                found_path(source, found.gl_pathv[k]);
            }
        }
        globfree(&found);
    }
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        /* a socket whose file is gone while it is connected says nothing about the guest */
        if (!agent->is_seen && agent->stage == MA_AGENT_WAITING) {
            agent->is_dead = true;
        }
    }
}

/* What is due, and who is dead. */
static void tick(struct ma_agent_source *source) {
    size_t kept = 0;
    source->next_due_usec = UINT64_MAX;
    for (size_t i = 0; i < source->n_agents; i++) {
        ma_agent_tick(source->agents[i]);
    }
    for (size_t i = 0; i < source->n_agents; i++) {
        struct ma_agent *agent = source->agents[i];
        if (agent->is_dead) {
            free_agent(agent);
            continue;
        }
        source->agents[kept++] = agent;
        source->next_due_usec = ma_min_u64(source->next_due_usec, agent->next_usec);
    }
    source->n_agents = kept;
}

int ma_agent_source_fd(const struct ma_agent_source *source) {
    return source->epoll_fd;
}

uint64_t ma_agent_source_deadline(const struct ma_agent_source *source) {
    uint64_t at = source->config.n_globs > 0 ? source->next_glob_usec : UINT64_MAX;
    return ma_min_u64(ma_min_u64(at, source->next_due_usec), source->next_read_usec);
}

uint64_t ma_agent_source_dispatch(struct ma_agent_source *source, uint64_t now_usec) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(source->epoll_fd, events, EVENTS_MAX, 0);
    source->now_usec = now_usec;
    for (int i = 0; i < n; i++) {
        struct ma_agent *agent = events[i].data.ptr;
        if (agent == NULL) {
            accept_agents(source);
        } else if (!agent->is_dead && agent->fd >= 0) {
            ma_agent_read(agent);
        }
    }
    if (now_usec >= source->next_read_usec) {
        ma_agent_read_muted(source);
    }
    if (source->config.n_globs > 0 && now_usec >= source->next_glob_usec) {
        source->next_glob_usec = now_usec + GLOB_PERIOD_USEC;
        look_for_sockets(source);
    }
    if (now_usec >= source->next_due_usec) {
        tick(source);
    }
    return n == EVENTS_MAX ? FULL_PAUSE_USEC : PAUSE_USEC;
}
