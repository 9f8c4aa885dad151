/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* probe.c - the libvirt adapter on a line: its messages go out as one JSON object a line, commands come in by word.
 *
 *   probe URI RUN-DIR STATS-PERIOD-MS CALL-DEADLINE-MS
 *   do ACTION UUID BYTES DEADLINE-MS | refresh UUID|- | period MS | rule NAME-GLOB IMPACT | xpath EXPRESSION IMPACT
 *   deaf MS (reads nothing meanwhile) | health | quit */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "libvirt-source.h"

static uint64_t now_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

/* Text of our own making and of tests: quotes and control characters are enough to escape. */
static void print_text(const char *key, const char *text) {
    (void) printf(",\"%s\":\"", key);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            (void) putchar('\\');
        }
        (void) putchar((unsigned char) *c < ' ' ? '?' : *c);
    }
    (void) putchar('"');
}

static void print_u64(const char *key, uint64_t value) {
    (void) printf(",\"%s\":%" PRIu64, key, value);
}

static void print_guest(const struct ma_source_guest *g) {
    print_text("name", g->name);
    print_u64("pid", (uint64_t) g->pid);
    print_u64("vcpus", g->vcpus);
    print_u64("max_bytes", g->max_bytes);
    print_u64("has_balloon", g->has_balloon);
    print_u64("inhibited_by", g->inhibited_by);
    print_text("placement", g->has_placement ? ma_placement_name(g->placement) : "");
}

static void print_config(const struct ma_source_config *c) {
    print_u64("has", c->config.has);
    print_u64("impact_class", c->config.impact_class);
    print_u64("impact", c->config.impact);
    print_u64("guarantee_bytes", c->config.guarantee_bytes);
    print_u64("is_invalid", c->config.is_invalid);
    print_text("group", c->group);
    print_text("problem", c->problem);
}

static void print_figures(const struct ma_source_figures *f) {
    print_u64("taken_usec", f->taken_usec);
    print_u64("has_actual", f->has_actual);
    print_u64("actual_bytes", f->actual_bytes);
    print_u64("is_actual_absurd", f->is_actual_absurd);
    print_u64("stats_has", f->stats.has);
    print_u64("stats_age_usec", f->stats.age_usec);
    print_u64("claimed_total_bytes", f->stats.claimed_total_bytes);
    print_u64("claimed_available_bytes", f->stats.claimed_available_bytes);
    print_u64("has_cpu_time", f->has_cpu_time);
    print_u64("cpu_time_usec", f->cpu_time_usec);
    print_u64("virtio_mem_has", f->virtio_mem.has);
    print_u64("requested_bytes", f->virtio_mem.requested_bytes);
    print_u64("plugged_bytes", f->virtio_mem.plugged_bytes);
}

static void print_message(const struct ma_source_message *m) {
    static const char *const names[] = {"connected", "disconnected", "list_done", "guest",
                                        "state",     "config",       "figures",   "reset",
                                        "ended",     "outcome",      "stuck",     "unstuck"};
    (void) printf("{\"event\":\"%s\",\"uuid\":\"%s\"", names[m->event], m->uuid);
    print_u64("at_usec", now_usec());
    if (m->event == MA_SOURCE_GUEST) {
        print_guest(&m->guest);
    } else if (m->event == MA_SOURCE_CONFIG) {
        print_config(&m->config);
    } else if (m->event == MA_SOURCE_FIGURES) {
        print_figures(&m->figures);
    } else if (m->event == MA_SOURCE_STATE) {
        print_text("state", ma_guest_state_name(m->state.state));
        print_u64("is_by_other", m->state.is_by_other);
    } else if (m->event == MA_SOURCE_OUTCOME) {
        print_u64("id", m->outcome.id);
        print_text("result", ma_outcome_name(m->outcome.result));
        print_u64("took_usec", m->outcome.took_usec);
        print_text("detail", m->outcome.detail);
    }
    (void) printf("}\n");
}

static uint64_t number(const char *text) {
    uint64_t v = 0;
    if (text == NULL || ma_parse_u64(text, UINT64_MAX, &v) < 0) {
        (void) fprintf(stderr, "probe: bad number\n");
        exit(2);
    }
    return v;
}

static void
set_rule(struct ma_libvirt *lv, enum ma_rule_match match, const char *pattern, const char *impact) {
    static struct ma_guest_rule rule;
    struct ma_guest_rules rules = {.rules = &rule, .n_rules = 1};
    rule = (struct ma_guest_rule){.match = match, .line = 1};
    rule.config.has = MA_CONFIG_HAS_IMPACT;
    rule.config.impact_class = MA_IMPACT_WEIGHT;
    rule.config.impact = (uint32_t) number(impact);
    (void) snprintf(rule.pattern, sizeof(rule.pattern), "%s", pattern);
    if (ma_libvirt_set_rules(lv, &rules) < 0) {
        exit(2);
    }
}

static void submit(struct ma_libvirt *lv, char **save) {
    static uint64_t id;
    const char *action = strtok_r(NULL, " ", save);
    const char *uuid = strtok_r(NULL, " ", save);
    struct ma_request r = {.id = ++id, .action = (enum ma_action) ma_action_from_name(action)};
    (void) snprintf(r.uuid, sizeof(r.uuid), "%s", uuid);
    r.to_bytes = number(strtok_r(NULL, " ", save));
    r.deadline_usec = now_usec() + number(strtok_r(NULL, " ", save)) * MA_USEC_PER_MSEC;
    const struct ma_actuator *a = ma_libvirt_actuator(lv);
    uint64_t before = now_usec();
    int result = a->submit(a->self, &r);
    (void) printf("{\"event\":\"submitted\",\"uuid\":\"%s\",\"id\":%" PRIu64
                  ",\"result\":%d,\"took_usec\":%" PRIu64 "}\n",
                  r.uuid, id, result, now_usec() - before);
}

static void health(struct ma_libvirt *lv) {
    struct ma_libvirt_health h;
    ma_libvirt_health(lv, &h);
    (void) printf("{\"event\":\"health\",\"uuid\":\"\"");
    print_u64("n_guests", h.n_guests);
    print_u64("threads_abandoned", h.threads_abandoned);
    print_u64("stats_calls", h.stats_calls);
    print_u64("figures_coalesced", h.figures_coalesced);
    print_u64("is_connected", h.is_connected);
    (void) printf("}\n");
}

/* false: quit. */
static bool command(struct ma_libvirt *lv, char *line) {
    char *save = NULL;
    const char *word = strtok_r(line, " ", &save);
    if (word == NULL || strcmp(word, "quit") == 0) {
        return false;
    }
    if (strcmp(word, "do") == 0) {
        submit(lv, &save);
    } else if (strcmp(word, "refresh") == 0) {
        const char *uuid = strtok_r(NULL, " ", &save);
        ma_libvirt_refresh(lv, strcmp(uuid, "-") == 0 ? NULL : uuid);
    } else if (strcmp(word, "period") == 0) {
        ma_libvirt_set_stats_period(lv, number(strtok_r(NULL, " ", &save)) * MA_USEC_PER_MSEC);
    } else if (strcmp(word, "rule") == 0) {
        const char *pattern = strtok_r(NULL, " ", &save);
        set_rule(lv, MA_RULE_NAME, pattern, strtok_r(NULL, " ", &save));
    } else if (strcmp(word, "xpath") == 0) {
        const char *pattern = strtok_r(NULL, " ", &save);
        set_rule(lv, MA_RULE_XPATH, pattern, strtok_r(NULL, " ", &save));
    } else if (strcmp(word, "deaf") == 0) {
        (void) usleep((useconds_t) (number(strtok_r(NULL, " ", &save)) * 1000));
    } else if (strcmp(word, "health") == 0) {
        health(lv);
    }
    return true;
}

static void drain(struct ma_libvirt *lv) {
    struct ma_source_message m;
    while (ma_libvirt_pop(lv, &m)) {
        print_message(&m);
    }
    (void) fflush(stdout);
}

static void serve(struct ma_libvirt *lv) {
    static char buf[4096];
    size_t used = 0;
    struct pollfd fds[2] = {{.fd = 0, .events = POLLIN},
                            {.fd = ma_libvirt_fd(lv), .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents != 0) {
            drain(lv);
        }
        if (fds[0].revents == 0) {
            continue;
        }
        ssize_t n = read(0, buf + used, sizeof(buf) - 1 - used);
        if (n <= 0) {
            return;
        }
        used += (size_t) n;
        buf[used] = '\0';
        for (char *end = strchr(buf, '\n'); end != NULL; end = strchr(buf, '\n')) {
            *end = '\0';
            bool goes_on = command(lv, buf);
            (void) fflush(stdout);
            if (!goes_on) {
                return;
            }
            used -= (size_t) (end + 1 - buf);
            memmove(buf, end + 1, used + 1);
        }
    }
}

int main(int argc, char **argv) {
    struct ma_err err = {0};
    struct ma_libvirt *lv = NULL;
    if (argc != 5) {
        (void) fprintf(stderr, "usage: probe URI RUN-DIR PERIOD-MS DEADLINE-MS\n");
        return 2;
    }
    (void) signal(
        SIGPIPE,
        SIG_IGN); /* as memarbd does: a libvirtd that goes leaves a socket without a reader */
    struct ma_libvirt_config config = {.uri = argv[1], .run_dir = argv[2]};
    config.stats_period_usec = number(argv[3]) * MA_USEC_PER_MSEC;
    config.call_deadline_usec = number(argv[4]) * MA_USEC_PER_MSEC;
    config.balloon_period_s = 1;
    if (ma_libvirt_start(&config, &lv, &err) < 0) {
        (void) fprintf(stderr, "probe: %s\n", err.message);
        return 1;
    }
    serve(lv);
    uint64_t before = now_usec();
    ma_libvirt_stop(lv);
    (void) printf("{\"event\":\"stopped\",\"uuid\":\"\",\"took_usec\":%" PRIu64 "}\n",
                  now_usec() - before);
    return 0;
}
