/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scenario.c - a scenario's text (INI) read into the struct; examples/scenarios/README.md describes the keys. A key
 * that is not known, a bad value or a contradiction is an error with its line. */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "sim.h"

#define DURATION_DEFAULT_USEC   (UINT64_C(25) * 60 * MA_USEC_PER_SEC)
#define DURATION_MAX_USEC       (UINT64_C(24) * 3600 * MA_USEC_PER_SEC)
#define SWAP_RATE_DEFAULT_BYTES (UINT64_C(1536) * MA_MIB)
#define PERIOD_DEFAULT_USEC     (UINT64_C(20) * 60 * MA_USEC_PER_SEC)
#define OVERCOMMIT_MAX          100000U

enum unit { UNIT_BYTES, UNIT_PERMYRIAD, UNIT_USEC, UNIT_COUNT };
/* A key whose value is one number. The width of the member is said, so that one table serves all. */
struct key {
    const char *name;
    enum unit unit;
    size_t offset;
    size_t width;
    uint64_t max;
};
#define KEY(type, name, unit, member, max)                                                         \
    { name, unit, offsetof(struct type, member), sizeof(((struct type *) 0)->member), max }

static const struct key host_keys[] = {
    KEY(sim_scenario, "Memory", UNIT_BYTES, host_bytes, UINT64_C(64) * MA_TIB),
    KEY(sim_scenario, "Swap", UNIT_BYTES, swap_bytes, UINT64_C(64) * MA_TIB),
    KEY(sim_scenario, "SwapRate", UNIT_BYTES, swap_bytes_per_s, MA_TIB),
    KEY(sim_scenario, "Nodes", UNIT_COUNT, n_nodes, SIM_NODES_MAX),
    KEY(sim_scenario, "Overcommit", UNIT_PERMYRIAD, overcommit_permyriad, OVERCOMMIT_MAX),
    KEY(sim_scenario, "DeadDrivers", UNIT_PERMYRIAD, dead_permyriad, MA_PERMYRIAD_FULL),
    KEY(sim_scenario, "SlowDrivers", UNIT_PERMYRIAD, slow_permyriad, MA_PERMYRIAD_FULL),
};
static const struct key scenario_keys[] = {
    KEY(sim_scenario, "Duration", UNIT_USEC, duration_usec, DURATION_MAX_USEC),
    KEY(sim_scenario, "Seed", UNIT_COUNT, seed, UINT64_MAX / 2),
};
static const struct key policy_keys[] = {
    KEY(sim_scenario, "Reserve", UNIT_BYTES, settings.reserve_bytes, UINT64_C(64) * MA_TIB),
    KEY(sim_scenario,
        "MaxVictimsPerIncident",
        UNIT_COUNT,
        settings.max_victims_per_incident,
        SIM_GUESTS_MAX),
    KEY(sim_scenario,
        "MaxVictimsPerHour",
        UNIT_COUNT,
        settings.max_victims_per_hour,
        SIM_GUESTS_MAX),
    KEY(sim_scenario, "Guarantee", UNIT_PERMYRIAD, settings.guarantee_permyriad, MA_PERMYRIAD_FULL),
};
static const struct key class_keys[] = {
    KEY(sim_class, "Count", UNIT_COUNT, count, SIM_GUESTS_MAX),
    KEY(sim_class, "Weight", UNIT_COUNT, weight, 1000000),
    KEY(sim_class, "Base", UNIT_PERMYRIAD, base_permyriad, MA_PERMYRIAD_FULL),
    KEY(sim_class, "Peak", UNIT_PERMYRIAD, peak_permyriad, MA_PERMYRIAD_FULL),
    KEY(sim_class, "Rate", UNIT_BYTES, rate_bytes_per_s, MA_TIB),
    KEY(sim_class, "Start", UNIT_USEC, start_usec, DURATION_MAX_USEC),
    KEY(sim_class, "Spread", UNIT_USEC, spread_usec, DURATION_MAX_USEC),
    KEY(sim_class, "Period", UNIT_USEC, period_usec, DURATION_MAX_USEC),
    KEY(sim_class, "StuckAt", UNIT_USEC, stuck_at_usec, DURATION_MAX_USEC),
    KEY(sim_class, "Restart", UNIT_USEC, restart_usec, DURATION_MAX_USEC),
    KEY(sim_class, "Bursts", UNIT_COUNT, bursts, SIM_BURSTS_MAX),
    KEY(sim_class, "Cpu", UNIT_PERMYRIAD, cpu_permyriad, MA_PERMYRIAD_FULL),
    KEY(sim_class, "Io", UNIT_PERMYRIAD, io_permyriad, MA_PERMYRIAD_FULL),
    KEY(sim_class, "Node", UNIT_COUNT, node, SIM_NODES_MAX - 1),
};

static const char *const demand_names[SIM_DEMAND_COUNT] = {"idle",   "steady", "diurnal", "leak",
                                                           "bursts", "boot",   "bomb"};
static const char *const driver_names[SIM_DRIVER_COUNT] = {"good", "dead", "slow", "lying",
                                                           "stuck"};

const char *sim_demand_name(enum sim_demand demand) {
    return (unsigned) demand < SIM_DEMAND_COUNT ? demand_names[demand] : NULL;
}

const char *sim_driver_name(enum sim_driver driver) {
    return (unsigned) driver < SIM_DRIVER_COUNT ? driver_names[driver] : NULL;
}

struct reading {
    struct sim_scenario *scenario;
    const char *problem;
    int code;
};

static int refuse(struct reading *reading, int code, const char *problem) {
    if (reading->problem == NULL) {
        reading->problem = problem;
        reading->code = code;
    }
    return 0; /* inih: an error on this line */
}

static int parse_number(const struct key *key, const char *value, uint64_t *ret) {
    int r;

    switch (key->unit) {
    case UNIT_BYTES:
        r = ma_parse_bytes(value, ret);
        break;
    case UNIT_PERMYRIAD:
        return ma_parse_percent(value, key->max, ret);
    case UNIT_USEC:
        r = ma_parse_usec(value, ret);
        break;
    case UNIT_COUNT:
    default:
        return ma_parse_u64(value, key->max, ret);
    }
    return r == 0 && *ret > key->max ? -ERANGE : r;
}

static void store(void *base, const struct key *key, uint64_t number) {
    unsigned char *at = (unsigned char *) base + key->offset;

    if (key->width == sizeof(uint16_t)) {
        uint16_t narrow = (uint16_t) number;

        memcpy(at, &narrow, sizeof(narrow));
    } else if (key->width == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t) number;

        memcpy(at, &narrow, sizeof(narrow));
    } else {
        memcpy(at, &number, sizeof(number));
    }
}

/* 1: taken, 0: refused, -1: no such key in this table. */
static int take_key(struct reading *reading,
                    const struct key *keys,
                    size_t n_keys,
                    void *base,
                    const char *name,
                    const char *value) {
    for (size_t k = 0; k < n_keys; k++) {
        uint64_t number = 0;
        int r;

        if (strcmp(keys[k].name, name) != 0) {
            continue;
        }
        r = parse_number(&keys[k], value, &number);
        if (r < 0) {
            return refuse(reading, r,
                          r == -ERANGE ? "the value is out of range"
                                       : "the value is bad; numbers need their unit");
        }
        store(base, &keys[k], number);
        return 1;
    }
    return -1;
}
#define TAKE(keys, base)                                                                           \
    take_key(reading, keys, sizeof(keys) / sizeof((keys)[0]), base, name, value)

static int find_name(const char *const *names, unsigned n, const char *value) {
    for (unsigned k = 0; k < n; k++) {
        if (strcmp(names[k], value) == 0) {
            return (int) k;
        }
    }
    return -1;
}

static int take_sizes(struct reading *reading, struct sim_class *class, const char *value) {
    char copy[128];
    char *rest = copy;
    const char *word;

    if (snprintf(copy, sizeof(copy), "%s", value) >= (int) sizeof(copy)) {
        return refuse(reading, -ERANGE, "too many sizes");
    }
    class->n_sizes = 0;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (word[0] == '\0') {
            continue;
        }
        if (class->n_sizes == SIM_SIZES_MAX ||
            ma_parse_bytes(word, &class->size_bytes[class->n_sizes]) < 0 ||
            class->size_bytes[class->n_sizes] < UINT64_C(64) * MA_MIB) {
            return refuse(reading, -EINVAL, "write up to 8 sizes of at least 64MiB");
        }
        class->n_sizes++;
    }
    return class->n_sizes > 0 ? 1 : refuse(reading, -EINVAL, "name at least one size");
}

static int take_impact(struct reading *reading, struct sim_class *class, const char *value) {
    uint64_t impact = MA_IMPACT_DEFAULT;

    class->config.has |= MA_CONFIG_HAS_IMPACT;
    if (strcmp(value, "never") == 0) {
        class->config.impact_class = MA_IMPACT_NEVER;
    } else if (strcmp(value, "first") == 0) {
        class->config.impact_class = MA_IMPACT_FIRST;
    } else if (ma_parse_u64(value, MA_IMPACT_MAX, &impact) < 0 || impact == 0) {
        return refuse(reading, -EINVAL, "Impact= is 1 to 1000, never or first");
    }
    class->config.impact = (uint32_t) impact;
    return 1;
}

static int
take_config(struct reading *reading, struct sim_class *class, const char *name, const char *value) {
    uint64_t number = 0;

    if (strcmp(name, "Impact") == 0) {
        return take_impact(reading, class, value);
    }
    if (strcmp(name, "Shares") == 0) {
        if (ma_parse_u64(value, MA_SHARES_MAX, &number) < 0 || number == 0) {
            return refuse(reading, -EINVAL, "Shares= is 1 to 1000000");
        }
        class->config.has |= MA_CONFIG_HAS_SHARES;
        class->config.shares = (uint32_t) number;
        return 1;
    }
    if (strcmp(name, "Guarantee") == 0) {
        if (ma_parse_bytes(value, &number) < 0) {
            return refuse(reading, -EINVAL, "Guarantee= is a size");
        }
        class->config.has |= MA_CONFIG_HAS_GUARANTEE;
        class->config.guarantee_bytes = number;
        return 1;
    }
    return refuse(reading, -EINVAL, "there is no such key here");
}

static int
take_class(struct reading *reading, struct sim_class *class, const char *name, const char *value) {
    int r = TAKE(class_keys, class);
    int found;

    if (r >= 0) {
        return r;
    }
    if (strcmp(name, "Memory") == 0) {
        return take_sizes(reading, class, value);
    }
    if (strcmp(name, "Demand") == 0) {
        found = find_name(demand_names, SIM_DEMAND_COUNT, value);
        class->demand = found < 0 ? SIM_DEMAND_IDLE : (enum sim_demand) found;
        return found < 0 ? refuse(reading, -EINVAL, "there is no such demand") : 1;
    }
    if (strcmp(name, "Driver") == 0) {
        found = find_name(driver_names, SIM_DRIVER_COUNT, value);
        class->driver = found < 0 ? SIM_DRIVER_GOOD : (enum sim_driver) found;
        class->has_driver = true;
        return found < 0 ? refuse(reading, -EINVAL, "there is no such driver") : 1;
    }
    return take_config(reading, class, name, value);
}

/* Rates and levels of the kind, as in the study of policies; what is said replaces them. */
static void init_class(struct sim_class *class, const char *name) {
    memset(class, 0, sizeof(*class));
    (void) snprintf(class->name, sizeof(class->name), "%s", name);
    class->demand = SIM_DEMAND_STEADY;
    class->size_bytes[0] = UINT64_C(8) * MA_GIB;
    class->n_sizes = 1;
    class->base_permyriad = 3000;
    class->peak_permyriad = 7000;
    class->rate_bytes_per_s = UINT64_C(400) * MA_MIB;
    class->period_usec = PERIOD_DEFAULT_USEC;
    class->bursts = 4;
    class->cpu_permyriad = 1000;
    class->io_permyriad = 1000;
    class->node = SIM_NODE_ANY;
}

/* The class of a "Guests NAME" section; NULL: no name, too many. */
static struct sim_class *class_of(struct sim_scenario *scenario, const char *section) {
    const char *name = section + strlen("Guests ");

    for (uint32_t k = 0; k < scenario->n_classes; k++) {
        if (strcmp(scenario->classes[k].name, name) == 0) {
            return &scenario->classes[k];
        }
    }
    if (name[0] == '\0' || strlen(name) >= SIM_NAME_MAX || scenario->n_classes == SIM_CLASSES_MAX) {
        return NULL;
    }
    init_class(&scenario->classes[scenario->n_classes], name);
    return &scenario->classes[scenario->n_classes++];
}

static int take_scenario(struct reading *reading, const char *name, const char *value) {
    struct sim_scenario *scenario = reading->scenario;

    if (strcmp(name, "About") == 0) {
        (void) snprintf(scenario->about, sizeof(scenario->about), "%s", value);
        return 1;
    }
    return TAKE(scenario_keys, scenario);
}

static int take_pair(void *userdata, const char *section, const char *name, const char *value) {
    struct reading *reading = userdata;
    int r = -1;

    if (strcmp(section, "Scenario") == 0) {
        r = take_scenario(reading, name, value);
    } else if (strcmp(section, "Host") == 0) {
        r = TAKE(host_keys, reading->scenario);
    } else if (strcmp(section, "Policy") == 0) {
        r = TAKE(policy_keys, reading->scenario);
        if (r == 1 && strcmp(name, "Reserve") == 0) {
            reading->scenario->settings.has |= MA_SETTINGS_HAS_RESERVE;
        }
    } else if (strncmp(section, "Guests ", 7) == 0) {
        struct sim_class *class = class_of(reading->scenario, section);

        return class != NULL ? take_class(reading, class, name, value)
                             : refuse(reading, -EINVAL, "a section needs a name; 32 at most");
    } else {
        return refuse(reading, -EINVAL, "there are [Scenario], [Host], [Policy] and [Guests NAME]");
    }
    return r >= 0 ? r : refuse(reading, -EINVAL, "there is no such key here");
}

static const char *contradiction(const struct sim_scenario *scenario) {
    if (scenario->host_bytes < MA_GIB) {
        return "[Host] Memory= is missing or below 1GiB";
    }
    if (scenario->n_nodes == 0 || scenario->duration_usec == 0) {
        return "Nodes= and Duration= are at least 1";
    }
    if ((uint64_t) scenario->dead_permyriad + scenario->slow_permyriad > MA_PERMYRIAD_FULL) {
        return "DeadDrivers= and SlowDrivers= together exceed 100%";
    }
    for (uint32_t k = 0; k < scenario->n_classes; k++) {
        const struct sim_class *class = &scenario->classes[k];

        if (class->node != SIM_NODE_ANY && class->node >= scenario->n_nodes) {
            return "Node= does not exist on this host";
        }
        if (class->base_permyriad > class->peak_permyriad) {
            return "Base= exceeds Peak=";
        }
        if (class->period_usec == 0 || class->rate_bytes_per_s == 0) {
            return "Period= and Rate= are above 0";
        }
    }
    return scenario->n_classes == 0 ? "there is no [Guests NAME] section" : NULL;
}

int sim_scenario_read(const char *name,
                      const char *text,
                      struct sim_scenario *ret,
                      struct ma_err *err) {
    struct reading reading = {.scenario = ret};
    const char *problem;
    int line;

    memset(ret, 0, sizeof(*ret));
    ret->duration_usec = DURATION_DEFAULT_USEC;
    ret->seed = 1;
    ret->n_nodes = 1;
    ret->swap_bytes_per_s = SWAP_RATE_DEFAULT_BYTES;
    ma_settings_init(&ret->settings);
    ret->settings.has |= MA_SETTINGS_HAS_ARM;
    ret->settings.arm = MA_ARM_KILL;
    ret->settings.quiet_usec = 0;
    (void) snprintf(ret->name, sizeof(ret->name), "%s", name);
    line = strlen(text) > SIM_TEXT_MAX_BYTES ? 1 : ini_parse_string(text, take_pair, &reading);
    if (line != 0) {
        return ma_err_set(err, reading.code != 0 ? reading.code : -EINVAL, "%s:%d: %s", name, line,
                          reading.problem != NULL ? reading.problem : "this cannot be read");
    }
    problem = contradiction(ret);
    if (problem != NULL) {
        return ma_err_set(err, -EINVAL, "%s: %s", name, problem);
    }
    if (ma_settings_resolve(&ret->settings, ret->host_bytes, &problem) < 0) {
        return ma_err_set(err, -EINVAL, "%s: [Policy] %s", name, problem);
    }
    return 0;
}
