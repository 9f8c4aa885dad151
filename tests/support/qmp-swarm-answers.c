/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-swarm-answers.c - what a played monitor answers, in the words of QEMU 7.2, and its guest's balloon. */
#include "qmp-swarm.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void move_balloon(struct peer *p, int64_t now) {
    int64_t step = (now - p->moved_at) / NSEC_PER_MSEC * opt.rate / 1000;
    int64_t way = p->target - p->actual;
    if (way == 0 || p->kind == LAZY || !p->is_running) {
        p->moved_at = now;
        return;
    }
    if (step <= 0) {
        return;
    }
    p->moved_at = now;
    p->actual += way > step ? step : way < -step ? -step : way;
    p->is_change_due = true;
}

void tell_change(struct peer *p, int64_t now) {
    char data[64];
    if (!p->is_ready || !p->is_change_due || now - p->changed_at < CHANGE_NSEC) {
        return;
    }
    p->is_change_due = false;
    p->changed_at = now;
    (void) snprintf(data, sizeof(data), "{\"actual\": %lld}", (long long) p->actual);
    say_event(p, "BALLOON_CHANGE", data);
}

static void answer(char *out, const char *value) {
    (void) snprintf(out, ANSWER_MAX, "\"return\": %s", value);
}
static void refuse(char *out, const char *error_class, const char *desc) {
    (void) snprintf(out, ANSWER_MAX, "\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}",
                    error_class, desc);
}

static void do_balloon(struct peer *p, const struct request *r, char *out) {
    const json_t *value = json_object_get(r->arguments, "value");
    int64_t bytes = json_integer_value(value);
    note_balloon(p, r->arrived, bytes);
    if (!opt.has_balloon) {
        refuse(out, "DeviceNotActive", "No balloon device has been activated");
    } else if (!json_is_integer(value) || bytes <= 0) {
        refuse(out, "GenericError", "Parameter 'target' expects a size");
    } else {
        move_balloon(p, r->arrived);
        p->target = bytes < opt.memory ? bytes / 4096 * 4096 : opt.memory;
        answer(out, "{}");
    }
}

static void do_query_balloon(struct peer *p, const struct request *r, char *out) {
    move_balloon(p, r->arrived);
    if (opt.has_balloon) {
        (void) snprintf(out, ANSWER_MAX, "\"return\": {\"actual\": %lld}", (long long) p->actual);
    } else {
        refuse(out, "DeviceNotActive", "No balloon device has been activated");
    }
}

static void get_stats(struct peer *p, char *out) {
    long long updated =
        p->interval_sec > 0 ? (long long) (time(NULL) / p->interval_sec * p->interval_sec) : 0;
    unsigned long long none = UINT64_MAX;
    bool is_known = updated > 0;
    unsigned long long available =
        p->actual > opt.occupied ? (unsigned long long) (p->actual - opt.occupied) : 0;
    (void) snprintf(
        out, ANSWER_MAX,
        "\"return\": {\"stats\": {\"stat-htlb-pgalloc\": %llu, \"stat-swap-out\": %llu, "
        "\"stat-available-memory\": %llu, \"stat-htlb-pgfail\": %llu, \"stat-free-memory\": %llu, "
        "\"stat-minor-faults\": %llu, \"stat-major-faults\": %llu, \"stat-total-memory\": %llu, "
        "\"stat-swap-in\": %llu, \"stat-disk-caches\": %llu}, \"last-update\": %lld}",
        none, is_known ? 0 : none, is_known ? available : none, none,
        is_known ? available / 2 : none, is_known ? 1000 : none, is_known ? 10 : none,
        is_known ? (unsigned long long) p->actual : none, is_known ? 0 : none,
        is_known ? available / 4 : none, updated);
}

static void do_qom_get(struct peer *p, const struct request *r, char *out) {
    static const struct {
        const char *property, *value;
    } ram[] = {{"type", "\"memory-backend-ram\""},
               {"share", "false"},
               {"merge", "true"},
               {"reserve", "true"},
               {"prealloc", "false"}};
    move_balloon(p, r->arrived);
    if (opt.has_balloon && strcmp(r->path, BALLOON_PATH) == 0) {
        if (strcmp(r->property, "guest-stats") == 0) {
            get_stats(p, out);
        } else if (strcmp(r->property, "guest-stats-polling-interval") == 0) {
            (void) snprintf(out, ANSWER_MAX, "\"return\": %lld", (long long) p->interval_sec);
        } else {
            refuse(out, "GenericError", "Property not found");
        }
        return;
    }
    for (size_t i = 0; strcmp(r->path, "/objects/pc.ram") == 0 && i < sizeof(ram) / sizeof(ram[0]);
         i++) {
        if (strcmp(r->property, ram[i].property) == 0) {
            answer(out, ram[i].value);
            return;
        }
    }
    refuse(out, "DeviceNotFound", "Device not found");
}

static void do_qom_set(struct peer *p, const struct request *r, char *out) {
    const json_t *value = json_object_get(r->arguments, "value");
    if (!opt.has_balloon || strcmp(r->path, BALLOON_PATH) != 0) {
        refuse(out, "DeviceNotFound", "Device not found");
    } else if (strcmp(r->property, "guest-stats-polling-interval") != 0 ||
               !json_is_integer(value) || json_integer_value(value) < 0 ||
               json_integer_value(value) > UINT32_MAX) {
        refuse(out, "GenericError", "timer value must be greater than zero");
    } else {
        p->interval_sec = json_integer_value(value);
        answer(out, "{}");
    }
}

static void do_qom_list(struct peer *p, const struct request *r, char *out) {
    (void) p;
    if (strcmp(r->path, "/machine/peripheral") == 0) {
        answer(out, opt.has_balloon
                        ? "[{\"name\": \"type\", \"type\": \"string\"}, "
                          "{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}]"
                        : "[{\"name\": \"type\", \"type\": \"string\"}]");
    } else if (strcmp(r->path, "/machine/peripheral-anon") == 0) {
        answer(out, "[{\"name\": \"type\", \"type\": \"string\"}]");
    } else if (strcmp(r->path, "/objects/pc.ram") == 0) {
        answer(out, "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"share\", \"type\": "
                    "\"bool\"}, "
                    "{\"name\": \"reserve\", \"type\": \"bool\"}, {\"name\": \"merge\", \"type\": "
                    "\"bool\"}, "
                    "{\"name\": \"prealloc\", \"type\": \"bool\"}]");
    } else {
        refuse(out, "DeviceNotFound", "Device not found");
    }
}

static void do_query_status(struct peer *p, const struct request *r, char *out) {
    (void) r;
    answer(out, p->is_running
                    ? "{\"status\": \"running\", \"singlestep\": false, \"running\": true}"
                    : "{\"status\": \"paused\", \"singlestep\": false, \"running\": false}");
}
static void do_uuid(struct peer *p, const struct request *r, char *out) {
    (void) r;
    (void) snprintf(out, ANSWER_MAX, "\"return\": {\"UUID\": \"5a4d0000-0000-4000-8000-%012u\"}",
                    p->number);
}
static void do_name(struct peer *p, const struct request *r, char *out) {
    (void) r;
    (void) snprintf(out, ANSWER_MAX, "\"return\": {\"name\": \"peer-%04u\"}", p->number);
}
static void do_memory_size(struct peer *p, const struct request *r, char *out) {
    (void) p;
    (void) r;
    (void) snprintf(out, ANSWER_MAX, "\"return\": {\"base-memory\": %lld, \"plugged-memory\": 0}",
                    (long long) opt.memory);
}
static void do_memdev(struct peer *p, const struct request *r, char *out) {
    (void) p;
    (void) r;
    (void) snprintf(out, ANSWER_MAX,
                    "\"return\": [{\"share\": false, \"reserve\": true, \"prealloc\": false, "
                    "\"host-nodes\": [], "
                    "\"size\": %lld, \"merge\": true, \"dump\": true, \"policy\": \"default\", "
                    "\"id\": \"pc.ram\"}]",
                    (long long) opt.memory);
}
static void do_stop(struct peer *p, const struct request *r, char *out) {
    move_balloon(p, r->arrived);
    if (p->is_running) {
        p->is_running = false;
        say_event(p, "STOP", "");
    }
    answer(out, "{}");
}
static void do_cont(struct peer *p, const struct request *r, char *out) {
    move_balloon(p, r->arrived);
    if (!p->is_running) {
        p->is_running = true;
        say_event(p, "RESUME", "");
    }
    answer(out, "{}");
}
static void do_powerdown(struct peer *p, const struct request *r, char *out) {
    (void) r;
    say_event(p, "POWERDOWN", "");
    answer(out, "{}");
}
static void do_quit(struct peer *p, const struct request *r, char *out) {
    (void) r;
    p->is_gone = true;
    say_event(p, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
    answer(out, "{}");
}
static void do_version(struct peer *p, const struct request *r, char *out) {
    (void) p;
    (void) r;
    answer(out,
           "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"qmp-swarm\"}");
}
static void do_empty_list(struct peer *p, const struct request *r, char *out) {
    (void) p;
    (void) r;
    answer(out, "[]");
}
static void do_empty_text(struct peer *p, const struct request *r, char *out) {
    (void) p;
    (void) r;
    answer(out, "\"\"");
}

static const struct {
    const char *name;
    void (*run)(struct peer *p, const struct request *r, char *out);
} commands[] = {
    {"balloon", do_balloon},
    {"query-balloon", do_query_balloon},
    {"qom-get", do_qom_get},
    {"qom-set", do_qom_set},
    {"qom-list", do_qom_list},
    {"query-status", do_query_status},
    {"query-uuid", do_uuid},
    {"query-name", do_name},
    {"query-version", do_version},
    {"query-memory-size-summary", do_memory_size},
    {"query-memdev", do_memdev},
    {"query-memory-devices", do_empty_list},
    {"human-monitor-command", do_empty_text},
    {"stop", do_stop},
    {"cont", do_cont},
    {"system_powerdown", do_powerdown},
    {"quit", do_quit},
};

void answer_request(struct peer *p, const struct request *r, char *out) {
    if (strcmp(r->name, "qmp_capabilities") == 0 && !p->is_ready) {
        p->is_ready = true;
        answer(out, "{}");
        return;
    }
    for (size_t i = 0; p->is_ready && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, r->name) == 0) {
            commands[i].run(p, r, out);
            return;
        }
    }
    refuse(out, "CommandNotFound", "The command has not been found");
}
