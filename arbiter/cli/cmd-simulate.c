/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-simulate.c - memarbctl simulate SCENARIO...: policies compared on simulated hours. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"
#include "picture.h"
#include "read-text.h"
#include "sim.h"
#include "table.h"

#define POLICIES_MAX 16U
#define RUNS_MAX     1000U

struct simulation {
    const char *names[POLICIES_MAX];
    const struct ma_policy *policies[POLICIES_MAX]; /* NULL: none */
    size_t n_policies;
    char *names_memory;
    const char *svg;
    uint64_t seed;
    bool has_seed;
    uint64_t runs;
    bool is_json;
    struct ma_picture *pictures[POLICIES_MAX];
    size_t n_pictures;
    /* of the scenario at hand */
    struct sim_scenario scenario;
    struct sim_result sums[POLICIES_MAX];
};

static int usage(void) {
    return ma_cli_fail(MA_EXIT_USAGE,
                       "usage: memarbctl simulate SCENARIO... [--policy NAME,NAME...] [--runs N] "
                       "[--seed N] [--svg FILE] [--json]");
}

static int find_policies(struct simulation *simulation, const char *list) {
    char *rest;
    char *name;

    simulation->n_policies = 0;
    free(simulation->names_memory);
    simulation->names_memory = strdup(list);
    rest = simulation->names_memory;
    if (rest == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "no memory");
    }
    while ((name = strsep(&rest, ",")) != NULL) {
        const struct ma_policy *policy = ma_policy_find(name);

        if (policy == NULL && strcmp(name, "none") != 0) {
            (void) ma_cli_fail(MA_EXIT_USAGE, "there is no policy \"%s\"; there are:", name);
            (void) fprintf(stderr, "  %-14s %s\n", "none", "the host's kernel alone");
            for (size_t k = 0; (policy = ma_policy_at(k)) != NULL; k++) {
                (void) fprintf(stderr, "  %-14s %s\n", policy->name, policy->summary);
            }
            return MA_EXIT_USAGE;
        }
        if (simulation->n_policies == POLICIES_MAX) {
            return ma_cli_fail(MA_EXIT_USAGE, "at most %u policies", POLICIES_MAX);
        }
        simulation->names[simulation->n_policies] = name;
        simulation->policies[simulation->n_policies++] = policy;
    }
    return MA_EXIT_OK;
}

static int take_option(struct simulation *simulation, int option) {
    switch (option) {
    case 'p':
        return find_policies(simulation, optarg);
    case 'r':
        return ma_parse_u64(optarg, RUNS_MAX, &simulation->runs) < 0 || simulation->runs == 0
                   ? ma_cli_fail(MA_EXIT_USAGE, "--runs=%s: write 1 to %u", optarg, RUNS_MAX)
                   : MA_EXIT_OK;
    case 's':
        simulation->has_seed = true;
        return ma_parse_u64(optarg, UINT64_MAX / 2, &simulation->seed) < 0
                   ? ma_cli_fail(MA_EXIT_USAGE, "--seed=%s: write a number", optarg)
                   : MA_EXIT_OK;
    case 'v':
        simulation->svg = optarg;
        return MA_EXIT_OK;
    case 'j':
        simulation->is_json = true;
        return MA_EXIT_OK;
    default:
        return usage();
    }
}

static int parse(int argc, char **argv, struct simulation *simulation) {
    static const struct option long_options[] = {
        {"policy", required_argument, NULL, 'p'}, {"runs", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},   {"svg", required_argument, NULL, 'v'},
        {"json", no_argument, NULL, 'j'},         {0},
    };
    int result = MA_EXIT_OK;
    int c;

    optind = 0; /* another command line was read before */
    while (result == MA_EXIT_OK && (c = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
        result = take_option(simulation, c);
    }
    if (result != MA_EXIT_OK) {
        return result;
    }
    if (optind >= argc || (simulation->svg != NULL && optind + 1 != argc)) {
        return optind >= argc ? usage()
                              : ma_cli_fail(MA_EXIT_USAGE, "--svg shows one scenario at a time");
    }
    return simulation->n_policies > 0 ? MA_EXIT_OK : find_policies(simulation, "balanced,none");
}

/* Sums; the least headroom is the least of all runs. */
static void add_run(struct sim_result *sum, const struct sim_result *run, bool is_first) {
    sum->duration_usec += run->duration_usec;
    sum->guest_usec += run->guest_usec;
    sum->n_guests += run->n_guests;
    sum->host_oom_kills += run->host_oom_kills;
    sum->victims += run->victims;
    sum->pauses += run->pauses;
    sum->innocents += run->innocents;
    sum->repeats += run->repeats;
    sum->guest_ooms += run->guest_ooms;
    sum->reversals += run->reversals;
    sum->moves += run->moves;
    sum->impact_lost += run->impact_lost;
    sum->lost_bytes += run->lost_bytes;
    sum->stall_usec += run->stall_usec;
    sum->moved_bytes += run->moved_bytes;
    sum->swapped_out_bytes += run->swapped_out_bytes;
    sum->average_max_bytes += run->average_max_bytes;
    sum->decisions += run->decisions;
    sum->policy_errors += run->policy_errors;
    sum->least_available_bytes =
        is_first ? run->least_available_bytes
                 : ma_min_u64(sum->least_available_bytes, run->least_available_bytes);
}

static int run_all(struct simulation *simulation,
                   const struct sim_scenario *scenario,
                   size_t policy,
                   struct sim_result *ret) {
    uint64_t seed = simulation->has_seed ? simulation->seed : scenario->seed;

    memset(ret, 0, sizeof(*ret));
    for (uint64_t n = 0; n < simulation->runs; n++) {
        struct sim_watcher watcher = {.see = ma_picture_see};
        struct sim_result run;
        int r;

        if (simulation->svg != NULL && n == 0) {
            watcher.userdata = ma_picture_new(scenario, simulation->names[policy]);
            simulation->pictures[simulation->n_pictures++] = watcher.userdata;
        }
        r = sim_run(scenario, simulation->policies[policy], seed + n,
                    watcher.userdata != NULL ? &watcher : NULL, &run);
        if (r < 0) {
            return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", scenario->name,
                               r == -EINVAL ? "no guests, or more than 2048" : strerror(-r));
        }
        add_run(ret, &run, n == 0);
    }
    return MA_EXIT_OK;
}

/* Average per run with one decimal. */
static void add_average(struct ma_table *table, uint64_t sum, uint64_t runs, bool is_good) {
    char text[MA_FORMAT_MAX];
    uint64_t tenths = (sum * 10 + runs / 2) / runs;

    (void) snprintf(text, sizeof(text), "%llu.%llu", (unsigned long long) tenths / 10,
                    (unsigned long long) tenths % 10);
    ma_table_add(table, is_good || sum == 0 ? MA_COLOR_NONE : MA_COLOR_RED, text);
}

/* Guests' maxima against the host where nobody was killed by its kernel and stalls are below 1 % of guest time, in
 * percent; 0: not reached. */
static uint64_t
density_percent(const struct sim_scenario *scenario, const struct sim_result *sum, uint64_t runs) {
    bool is_sound = sum->host_oom_kills == 0 && sum->stall_usec < sum->guest_usec / 100;

    return is_sound ? ma_muldiv_sat(sum->average_max_bytes / runs, 100, scenario->host_bytes) : 0;
}

static void add_row(struct ma_table *table,
                    const struct simulation *simulation,
                    const struct sim_scenario *scenario,
                    size_t policy,
                    const struct sim_result *sum) {
    uint64_t hours = ma_max_u64(sum->guest_usec / (UINT64_C(3600) * MA_USEC_PER_SEC), 1);
    uint64_t density = density_percent(scenario, sum, simulation->runs);

    ma_table_add(table, MA_COLOR_NONE, simulation->names[policy]);
    add_average(table, sum->host_oom_kills, simulation->runs, false);
    add_average(table, sum->impact_lost / 1000000, simulation->runs, true);
    add_average(table, sum->victims, simulation->runs, true);
    add_average(table, sum->innocents, simulation->runs, true);
    add_average(table, sum->repeats, simulation->runs, true);
    add_average(table, sum->guest_ooms, simulation->runs, true);
    add_average(table, sum->stall_usec / MA_USEC_PER_SEC, simulation->runs, true);
    add_average(table, sum->reversals, hours, true);
    ma_table_add_bytes(table, MA_COLOR_NONE, true, (int64_t) sum->least_available_bytes);
    ma_table_add_number(table, MA_COLOR_NONE, density > 0, (int64_t) density);
}

static json_t *result_json(const struct simulation *simulation,
                           const struct sim_scenario *scenario,
                           size_t policy,
                           const struct sim_result *sum) {
    json_t *object = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"host_oom_kills", sum->host_oom_kills},
        {"impact_lost_micropoints", sum->impact_lost},
        {"victims", sum->victims},
        {"pauses", sum->pauses},
        {"innocents", sum->innocents},
        {"repeated_victims", sum->repeats},
        {"guest_ooms", sum->guest_ooms},
        {"weighted_stall_usec", sum->stall_usec},
        {"reversals", sum->reversals},
        {"moves", sum->moves},
        {"guest_time_usec", sum->guest_usec},
        {"lost_bytes", sum->lost_bytes},
        {"moved_bytes", sum->moved_bytes},
        {"swapped_out_bytes", sum->swapped_out_bytes},
        {"least_available_bytes", sum->least_available_bytes},
        {"density_percent", density_percent(scenario, sum, simulation->runs)},
        {"decisions", sum->decisions},
        {"policy_errors", sum->policy_errors},
    };

    (void) json_object_set_new(object, "policy", json_string(simulation->names[policy]));
    for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
        (void) json_object_set_new(object, members[k].name,
                                   json_integer((json_int_t) members[k].value));
    }
    return object; /* NULL or incomplete only without memory; the printer then fails */
}

static int print_json(const struct simulation *simulation,
                      const struct sim_scenario *scenario,
                      const struct sim_result *sums) {
    json_t *policies = json_array();
    json_t *object;
    int result;

    for (size_t k = 0; k < simulation->n_policies; k++) {
        (void) json_array_append_new(policies, result_json(simulation, scenario, k, &sums[k]));
    }
    object =
        json_pack("{s:s, s:I, s:I, s:I, s:o}", "scenario", scenario->name, "runs",
                  (json_int_t) simulation->runs, "seed",
                  (json_int_t) (simulation->has_seed ? simulation->seed : scenario->seed), "guests",
                  (json_int_t) (sums[0].n_guests / simulation->runs), "policies", policies);
    result = object != NULL && json_dumpf(object, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF
                 ? MA_EXIT_OK
                 : ma_cli_fail(MA_EXIT_ERROR, "cannot write the result");
    json_decref(object);
    return result;
}

static void print_table(const struct simulation *simulation,
                        const struct sim_scenario *scenario,
                        const struct sim_result *sums) {
    struct ma_table table;
    char memory[MA_FORMAT_MAX];
    char time[MA_FORMAT_MAX];

    (void) printf("%s: %s\n  %s host, %llu guests, %s, averages of %llu runs\n", scenario->name,
                  scenario->about[0] != '\0' ? scenario->about : "(no description)",
                  ma_format_bytes(memory, scenario->host_bytes),
                  (unsigned long long) (sums[0].n_guests / simulation->runs),
                  ma_format_usec(time, scenario->duration_usec),
                  (unsigned long long) simulation->runs);
    ma_table_init(&table,
                  "POLICY +HOST-OOM +IMPACT +VICTIMS +INNOCENT +AGAIN +GUEST-OOM +STALL-S "
                  "+TURNS/H +LEAST-FREE +DENSITY%",
                  false);
    for (size_t k = 0; k < simulation->n_policies; k++) {
        add_row(&table, simulation, scenario, k, &sums[k]);
    }
    ma_table_print(&table, 2);
    (void) putchar('\n');
}

static int write_pictures(struct simulation *simulation) {
    FILE *file = fopen(simulation->svg, "we");
    int r;

    if (file == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", simulation->svg, strerror(errno));
    }
    r = ma_pictures_write(file, simulation->pictures, simulation->n_pictures);
    if (fclose(file) != 0 || r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: cannot be written whole", simulation->svg);
    }
    return MA_EXIT_OK;
}

/* "examples/scenarios/bomb.scenario" is called "bomb". */
static void name_by_file(struct sim_scenario *scenario, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *dot = strstr(base, ".scenario");
    size_t len = dot != NULL ? (size_t) (dot - base) : strlen(base);

    (void) snprintf(scenario->name, sizeof(scenario->name), "%.*s", (int) len, base);
}

static int simulate(struct simulation *simulation, const char *path) {
    struct sim_scenario *scenario = &simulation->scenario;
    struct ma_err err = {0};
    ma_auto_free char *text = NULL;
    int result = MA_EXIT_OK;
    int r = ma_cli_read_text(path, SIM_TEXT_MAX_BYTES, &text);

    if (r < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", path, strerror(-r));
    }
    if (sim_scenario_read(path, text, scenario, &err) < 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s", err.message);
    }
    name_by_file(scenario, path);
    for (size_t k = 0; k < simulation->n_policies && result == MA_EXIT_OK; k++) {
        result = run_all(simulation, scenario, k, &simulation->sums[k]);
    }
    if (result == MA_EXIT_OK && simulation->svg != NULL) {
        result = write_pictures(simulation);
    }
    if (result == MA_EXIT_OK && simulation->is_json) {
        return print_json(simulation, scenario, simulation->sums);
    }
    if (result == MA_EXIT_OK) {
        print_table(simulation, scenario, simulation->sums);
    }
    return fflush(stdout) != 0 ? MA_EXIT_ERROR : result;
}

int ma_cmd_simulate(int argc, char **argv) {
    struct simulation *simulation = calloc(1, sizeof(*simulation));
    int result;

    if (simulation == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "no memory");
    }
    simulation->runs = 1;
    result = parse(argc, argv, simulation);
    for (int k = optind; k < argc && result == MA_EXIT_OK; k++) {
        result = simulate(simulation, argv[k]);
    }
    for (size_t k = 0; k < simulation->n_pictures; k++) {
        ma_picture_free(simulation->pictures[k]);
    }
    free(simulation->names_memory);
    free(simulation);
    return result;
}
