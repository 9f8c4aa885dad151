/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.c - memarb.conf as an operator writes it: good and bad values of every key, places in messages, drop-ins,
 * contradictions, reload. */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "config-keys.h"
#include "tap.h"

static char first[4096];
static unsigned n_problems;

static void on_problem(void *userdata, const char *problem) {
    (void) userdata;
    if (n_problems++ == 0) {
        (void) snprintf(first, sizeof(first), "%s", problem);
    }
}

static int parse(const char *text, struct ma_config **ret) {
    struct ma_err err = {0};
    n_problems = 0;
    first[0] = '\0';
    int r = ma_config_parse("test.conf", text, strlen(text), on_problem, NULL, ret, &err);
    CHECK((r == 0) == (n_problems == 0));
    CHECK(r == 0 || err.message[0] != '\0');
    return r;
}

static struct ma_config *must_parse(const char *text) {
    struct ma_config *config = NULL;
    if (parse(text, &config) != 0) {
        TAP_FAIL("refused: %s: %s", text, first);
    }
    return config;
}

/* Refused, at that line, with these words. */
static void must_refuse(const char *text, const char *place, const char *words) {
    struct ma_config *config = NULL;
    if (parse(text, &config) != -EINVAL) {
        TAP_FAIL("taken: %s", text);
    }
    CHECK(config == NULL);
    if (strncmp(first, place, strlen(place)) != 0 || strstr(first, words) == NULL) {
        TAP_FAIL("\"%s\": expected %s ... %s", first, place, words);
    }
}

static const struct {
    const char *section, *key, *good, *bad, *words;
} values[] = {
    {"Arbiter", "Arm", "kill", "shoot", "observe reclaim pause kill"},
    {"Arbiter", "DryRun", "yes", "maybe", "yes or no"},
    {"Arbiter", "Policy", "balanced", "", "must not be empty"},
    {"Arbiter", "Reserve", "4GiB", "4G", "write 4GiB"},
    {"Arbiter", "SoftWatermark", "10%", "10", "has no unit"},
    {"Arbiter", "HardWatermark", "1.5GiB", "-1GiB", "not an amount"},
    {"Arbiter", "CriticalWatermark", "512MiB", "512MB", "write 512MiB"},
    {"Arbiter", "Margin", "7.5%", "101%", "0% to 100%"},
    {"Arbiter", "Horizon", "2s", "5", "write 5s"},
    {"Arbiter", "QuietTime", "0s", "2h", "out of bounds"},
    {"Arbiter", "PauseMax", "30min", "10ms", "out of bounds"},
    {"Arbiter", "MaxVictimsPerIncident", "2", "0", "or auto"},
    {"Arbiter", "MaxVictimsPerHour", "auto", "-3", "or auto"},
    {"Arbiter", "CulpritFirst", "no", "", "yes or no"},
    {"Arbiter", "StaleAfter", "20s", "11min", "out of bounds"},
    {"Arbiter", "OnExhausted", "panic", "explode", "keep-trying command panic"},
    {"Arbiter", "ExhaustedAfter", "5s", "0s", "out of bounds"},
    {"Arbiter", "ExhaustedCommand", "/usr/local/sbin/fence", "fence", "absolute path"},
    {"Arbiter", "ExhaustedTimeout", "1min", "2h", "out of bounds"},
    {"Arbiter", "KillMethod", "libvirt", "axe", "kernel libvirt"},
    {"Arbiter", "ShutdownTimeout", "90s", "ninety", "not a time"},
    {"Arbiter", "GiveBackOnStop", "off", "offf", "yes or no"},
    {"Host", "Budget", "64GiB", "64 GiB", "not an amount"},
    {"Host", "PinBudget", "75%", "75", "has no unit"},
    {"Host", "NodePinBudget", "60%", "lots", "not an amount"},
    {"Host", "BudgetCgroup", "/machine.slice", "machine.slice", "absolute path"},
    {"Host", "QmpSockets", "/run/a/*.qmp /run/b/*.qmp", "run/*.qmp", "absolute path"},
    {"Host", "QmpMode", "per-command", "shared", "dedicated per-command"},
    {"Host", "QmpListen", "", "qmp.sock", "absolute path"},
    {"Host", "GuestAgent", "no", "maybe", "yes or no"},
    {"Host", "AgentListen", "/run/agent", "agent.sock", "absolute"},
    {"Host", "AgentSockets", "/run/vm/*.agent", "vm/*.agent", "absolute"},
    {"Host", "Libvirt", "auto", "maybe", "no yes auto"},
    {"Host", "LibvirtUri", "qemu:///session", "", "must not be empty"},
    {"Host", "LibvirtRunDir", "/run/x", "", "must not be empty"},
    {"Host", "PsiStall", "0s", "70", "write 70s"},
    {"Host", "PsiWindow", "2s", "100ms", "out of bounds"},
    {"Host", "SampleIdle", "2s", "0s", "out of bounds"},
    {"Host", "SampleBusy", "100ms", "1ms", "out of bounds"},
    {"Host", "GuestSample", "5s", "11min", "out of bounds"},
    {"Host", "MaxGuests", "16384", "16385", "1 to 16384"},
    {"Admission", "Mode", "strict", "lax", "heuristic always strict"},
    {"Admission", "ReadmitAfter", "0s", "2d", "out of bounds"},
    {"Admission", "ReserveFor", "30s", "0s", "out of bounds"},
    {"Admission", "WhenDown", "refuse", "maybe", "admit refuse"},
    {"Record", "Directory", "", "var/lib", "absolute path"},
    {"Record", "MaxSize", "1GiB", "1KiB", "out of bounds"},
    {"Record", "IdleInterval", "5min", "0s", "out of bounds"},
    {"Hooks", "Directory", "/etc/memarb/hooks.d", "hooks.d", "absolute"},
    {"Hooks", "Actions", "pause kill", "pause shoot", "no action"},
    {"Hooks", "Veto", "kill", "resume", "no action"},
    {"Hooks", "Timeout", "30s", "1ms", "out of bounds"},
    {"Hooks", "VetoTimeout", "200ms", "1min", "out of bounds"},
    {"Hooks", "VetoHold", "10min", "0s", "out of bounds"},
    {"Control", "Socket", "/tmp/x", "", "must not be empty"},
    {"Control", "Group", "", "a-group-name-of-more-than-31-bytes-x", "too long"},
    {"Metrics", "Socket", "/run/memarb/metrics", "metrics", "absolute"},
    {"Metrics", "Port", "9871", "70000", "0 to 65535"},
    {"Metrics", "File", "/var/lib/x/memarb.prom", "memarb.prom", "absolute"},
    {"Metrics", "FileInterval", "30s", "0s", "out of bounds"},
};

static void every_key_takes_a_good_value_and_refuses_a_bad_one(void) {
    const struct ma_config_key *key;
    size_t n = sizeof(values) / sizeof(values[0]);
    for (size_t i = 0; i < n; i++) {
        char text[256];
        (void) snprintf(text, sizeof(text), "[%s]\n%s=%s\n", values[i].section, values[i].key,
                        values[i].good);
        ma_config_destroy(must_parse(text));
        (void) snprintf(text, sizeof(text), "# one\n[%s]\n\n  %s = %s\n", values[i].section,
                        values[i].key, values[i].bad);
        must_refuse(text, "test.conf:4: ", values[i].words);
        CHECK(strstr(first, values[i].key) != NULL);
    }
    /* The table above leaves no key out. */
    for (size_t i = 0; (key = ma_config_key_at(i)) != NULL; i++) {
        bool is_tested = false;
        for (size_t k = 0; k < n; k++) {
            is_tested = is_tested || (strcmp(values[k].section, key->section) == 0 &&
                                      strcmp(values[k].key, key->name) == 0);
        }
        if (!is_tested) {
            TAP_FAIL("[%s] %s= has no test", key->section, key->name);
        }
    }
}

static const struct {
    const char *key, *good, *bad, *words;
} guest_values[] = {
    {"Impact", "never", "1001", "1 to 1000"},
    {"Shares", "2000", "0", "1 to 1000000"},
    {"Guarantee", "2GiB", "50%", "not an amount"},
    {"Limit", "8GiB", "8", "has no unit"},
    {"PinLimit", "1GiB", "2PiB", "not an amount"},
    {"CapMemory", "10GiB", "2000TiB", "too large"},
    {"CapSwap", "0B", "none", "not an amount"},
    {"CapPids", "512", "many", "not a number"},
    {"CapCpu", "400%", "0%", "not a percentage"},
    {"Actions", "balloon pause", "balloon shoot", "no action"},
    {"Group", "erp", "", "1 to 63 bytes"},
    {"Restart", "90s", "90", "write 90s"},
    {"ShutdownTimeout", "2min", "0s", "out of bounds"},
};

static void every_guest_key_takes_a_good_value_and_refuses_a_bad_one(void) {
    const struct ma_config_key *key;
    size_t n = sizeof(guest_values) / sizeof(guest_values[0]);
    for (size_t i = 0; i < n; i++) {
        char text[256];
        (void) snprintf(text, sizeof(text), "[Guest name:a*]\n%s=%s\n", guest_values[i].key,
                        guest_values[i].good);
        struct ma_config *config = must_parse(text);
        key = ma_config_guest_key_at((size_t) ma_config_guest_key_find(guest_values[i].key));
        CHECK_U64(config->rules.n_rules, 1);
        CHECK_U64(config->rules.rules[0].config.has, key->has);
        ma_config_destroy(config);
        (void) snprintf(text, sizeof(text), "[Guest name:a*]\n%s=%s\n", guest_values[i].key,
                        guest_values[i].bad);
        must_refuse(text, "test.conf:2: ", guest_values[i].words);
    }
    for (size_t i = 0; (key = ma_config_guest_key_at(i)) != NULL; i++) {
        CHECK(i < n && strcmp(key->name, guest_values[i].key) == 0);
    }
}

static void values_arrive(void) {
    struct ma_config *config =
        must_parse("[Arbiter]\nArm=pause\nReserve=4GiB\nSoftWatermark=10%\nHorizon=2500ms\n"
                   "MaxVictimsPerHour=7\n[Host]\nQmpSockets=/run/a/*.qmp\t/run/b\n"
                   "[Namespaces]\napp=http://example.org/app/1\n"
                   "[Guest xpath://app:tier[text()='gold']/x[1]]\nImpact=500\nCapCpu=250%\n"
                   "[Guest uuid:0f0e0d0c-0b0a-0908-0706-050403020100]\nGroup=erp\nActions=none\n");
    CHECK_U64(config->arbiter.arm, MA_ARM_PAUSE);
    CHECK(config->arbiter.reserve.is_said && !config->arbiter.reserve.is_percent);
    CHECK_U64(config->arbiter.reserve.bytes, 4 * MA_GIB);
    CHECK(config->arbiter.soft_watermark.is_percent);
    CHECK_U64(config->arbiter.soft_watermark.permyriad, 1000);
    CHECK(!config->arbiter.hard_watermark.is_said);
    CHECK_U64(config->arbiter.horizon_usec, 2500000);
    CHECK_U64(config->arbiter.max_victims_per_hour, 7);
    CHECK_U64(config->host.qmp_sockets.n, 2);
    CHECK_STR(config->host.qmp_sockets.items[1], "/run/b");
    CHECK_U64(config->rules.n_namespaces, 1);
    CHECK_STR(config->rules.namespaces[0].uri, "http://example.org/app/1");
    CHECK_U64(config->rules.n_rules, 2);
    CHECK_U64(config->rules.rules[0].match, MA_RULE_XPATH);
    CHECK_STR(config->rules.rules[0].pattern, "//app:tier[text()='gold']/x[1]");
    CHECK_U64(config->rules.rules[0].config.impact, 500);
    CHECK_U64(config->rules.rules[0].config.cap_cpu_permyriad, 25000);
    CHECK_U64(config->rules.rules[1].match, MA_RULE_UUID);
    CHECK_STR(config->rules.rules[1].group, "erp");
    CHECK_U64(config->rules.rules[1].config.actions, 0);
    ma_config_destroy(config);
}

static void defaults_hold_where_nothing_is_said(void) {
    struct ma_config *config = must_parse("");
    CHECK_U64(config->arbiter.arm, MA_ARM_OBSERVE);
    CHECK(!config->arbiter.is_dry_run);
    CHECK_U64(config->arbiter.quiet_usec, 60 * MA_USEC_PER_SEC);
    CHECK_U64(config->arbiter.max_victims_per_incident, 0);
    CHECK_STR(config->control.socket, "/run/memarb/control");
    CHECK_U64(config->host.libvirt, MA_LIBVIRT_AUTO);
    CHECK(!config->host.budget.is_said);
    ma_config_destroy(config);
}

static const struct {
    const char *text, *place, *words;
} refusals[] = {
    {"[Arbiter]\nReserv=4GiB\n", "test.conf:2: ", "did you mean Reserve=?"},
    {"[Arbiter]\nreserve=4GiB\n", "test.conf:2: ", "did you mean Reserve=?"},
    {"[Arbiter]\nSocket=/x\n", "test.conf:2: ", "belongs to [Control]"},
    {"[Arbiter]\nImpact=3\n", "test.conf:2: ", "belongs to [Guest ...]"},
    {"[Arbiter]\nFrobnicate=1\n", "test.conf:2: ", "memarb.conf(5)"},
    {"\n[Arbitre]\nArm=kill\n", "test.conf:2: ", "did you mean [Arbiter]?"},
    {"[Something]\n", "test.conf:1: ", "known: [Arbiter]"},
    {"Arm=kill\n", "test.conf:1: ", "before the first section"},
    {"[Arbiter\nArm=kill\n", "test.conf:1: ", "does not end with ]"},
    {"[Arbiter]\nArm\n", "test.conf:2: ", "no = in this line"},
    {"[Arbiter]\nArm: kill\n", "test.conf:2: ", "no = in this line"},
    {"[Arbiter]\n=kill\n", "test.conf:2: ", "no key before"},
    {"[Arbiter]\nArm=kill ; now\n", "test.conf:2: ", "a line of its own"},
    {"[Arbiter]\nArm=kill # now\n", "test.conf:2: ", "a line of its own"},
    {"[Arbiter]\nArm=kill\nDryRun=yes\nArm=pause\n", "test.conf:4: ", "stands in line 2 already"},
    {"[Arbiter]\nArm=kill\n[Host]\n[Arbiter]\nArm=pause\n",
     "test.conf:5: ", "stands in line 2 already"},
    {"[Guest a]\n", "test.conf:1: ", "write [Guest uuid:UUID]"},
    {"[Guest]\n", "test.conf:1: ", "write [Guest uuid:UUID]"},
    {"[Guest name:]\nImpact=1\n", "test.conf:1: ", "nothing to match"},
    {"[Guest uuid:1234]\nImpact=1\n", "test.conf:1: ", "no UUID"},
    {"[Guest name:a]\nImpact=1\n[Guest name:a]\nShares=1\n",
     "test.conf:3: ", "stands in line 1 already"},
    {"[Guest name:a]\nImpact=1\nImpact=2\n", "test.conf:3: ", "stands in line 2 already"},
    {"[Guest name:a]\nimpact=1\n", "test.conf:2: ", "did you mean Impact=?"},
    {"[Guest name:a]\nArm=kill\n", "test.conf:2: ", "belongs to [Arbiter]"},
    {"[Guest name:a]\n", "test.conf:1: ", "sets nothing"},
    {"[Namespaces]\na b=http://x\n", "test.conf:2: ", "write prefix=uri"},
    {"[Namespaces]\na=\n", "test.conf:2: ", "write prefix=uri"},
    {"[Namespaces]\na=x\na=y\n", "test.conf:3: ", "stands in this file already"},
    /* contradictions */
    {"[Arbiter]\nSoftWatermark=5%\nHardWatermark=6%\n",
     "test.conf:3: ", "HardWatermark= is larger than SoftWatermark="},
    {"[Arbiter]\nHardWatermark=1GiB\nCriticalWatermark=2GiB\n",
     "test.conf:3: ", "CriticalWatermark= is larger than"},
    {"[Arbiter]\nCriticalWatermark=2GiB\nReserve=1GiB\n", "test.conf:3: ", "larger than Reserve="},
    {"[Arbiter]\nMaxVictimsPerIncident=5\nMaxVictimsPerHour=2\n",
     "test.conf:3: ", "larger than MaxVictimsPerHour="},
    {"[Arbiter]\nStaleAfter=10s\n", "test.conf:2: ", "every guest would be stale"},
    {"[Host]\nGuestSample=20s\n", "test.conf:2: ", "raise StaleAfter="},
    {"[Host]\nSampleBusy=5s\n", "test.conf:2: ", "lower SampleBusy="},
    {"[Host]\nPsiStall=2s\nPsiWindow=1s\n", "test.conf:3: ", "lower PsiStall="},
    {"[Hooks]\nActions=pause\nVeto=kill\n", "test.conf:3: ", "add it there"},
    {"[Host]\nBudget=4GiB\nBudgetCgroup=/a\n", "test.conf:3: ", "exclude each other"},
    {"[Host]\nLibvirt=no\nQmpListen=\n", "test.conf:2: ", "no guest to watch"},
    {"[Host]\nLibvirt=no\n[Arbiter]\nKillMethod=libvirt\n", "test.conf:4: ", "KillMethod=kernel"},
    {"[Guest name:a]\nGuarantee=4GiB\nLimit=2GiB\n", "test.conf:1: ", "larger than Limit="},
    {"[Guest name:a]\nGuarantee=4GiB\nCapMemory=2GiB\n", "test.conf:1: ", "below Guarantee="},
    {"[Guest name:a]\nLimit=4GiB\nCapMemory=2GiB\n", "test.conf:1: ", "below Limit="},
    {"[Guest name:a]\nCapMemory=0MiB\n", "test.conf:1: ", "CapMemory= is 0"},
    {"[Guest name:a]\nLimit=0MiB\n", "test.conf:1: ", "Limit= is 0"},
};

static void what_is_wrong_is_named_with_its_place_and_remedy(void) {
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        must_refuse(refusals[i].text, refusals[i].place, refusals[i].words);
    }
}

static void nothing_is_cut_silently(void) {
    char text[2048];
    size_t at = (size_t) snprintf(text, sizeof(text), "[Host]\nQmpSockets=/");
    (void) memset(text + at, 'x', 300);
    (void) memcpy(text + at + 300, "\n", 2);
    must_refuse(text, "test.conf:2: ", "too long");
    /* The longest line that is taken arrives whole. */
    text[7 + 197] = '\n';
    text[7 + 198] = '\0';
    struct ma_config *config = must_parse(text);
    CHECK_U64(strlen(config->host.qmp_sockets.items[0]), 197 - strlen("QmpSockets="));
    ma_config_destroy(config);
    /* A long XPath, beyond libinih's 50 bytes of a section's name. */
    at = (size_t) snprintf(text, sizeof(text), "[Guest xpath:/");
    (void) memset(text + at, 'y', 500);
    (void) snprintf(text + at + 500, 32, "]\nImpact=1\n");
    config = must_parse(text);
    CHECK_U64(strlen(config->rules.rules[0].pattern), 501);
    ma_config_destroy(config);
    (void) memset(text + at, 'y', 600);
    (void) snprintf(text + at + 600, 32, "]\nImpact=1\n");
    must_refuse(text, "test.conf:1: ", "too long");
}

/* The cap becomes memory.high then, and is told. */
static void a_guest_that_never_ends_may_have_a_cap(void) {
    struct ma_config *config = must_parse("[Guest name:a]\nImpact=never\nCapMemory=2GiB\n");
    const struct ma_guest_config *c = &config->rules.rules[0].config;
    CHECK(c->impact_class == MA_IMPACT_NEVER);
    CHECK_U64(c->cap_memory_bytes, 2 * MA_GIB);
    ma_config_destroy(config);
}

static void all_problems_are_reported_not_the_first_alone(void) {
    struct ma_config *config = NULL;
    CHECK_I64(parse("[Arbiter]\nArm=x\nReserve=4\n[Hots]\nA=1\n[Control]\nFoo=1\n", &config),
              -EINVAL);
    CHECK_U64(n_problems, 4);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[512];
    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

static void remove_file(const char *folder, const char *name) {
    char path[512];
    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    (void) remove(path);
}

static void drop_ins_follow_in_order_and_a_bad_one_changes_nothing(void) {
    char folder[] = "/tmp/memarb-config-XXXXXX", sub[256], path[256];
    struct ma_config *config = NULL, *other = NULL;
    struct ma_err err = {0};
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(sub, sizeof(sub), "%s/memarb.conf.d", folder);
    (void) snprintf(path, sizeof(path), "%s/memarb.conf", folder);
    CHECK(mkdir(sub, 0755) == 0);
    write_file(folder, "memarb.conf",
               "[Arbiter]\nArm=reclaim\nHorizon=3s\n[Guest name:a]\nImpact=1\n");
    write_file(sub, "20-b.conf", "[Arbiter]\nArm=kill\n");
    write_file(sub, "10-a.conf", "[Arbiter]\nArm=pause\nQuietTime=5s\n[Guest name:a]\nShares=7\n");
    write_file(sub, "30-c.conf.bak", "[Arbiter]\nArm=nonsense\n");
    CHECK_I64(ma_config_load(path, &config, &err), 0);
    CHECK_U64(config->n_files, 3);
    CHECK_U64(config->arbiter.arm, MA_ARM_KILL);
    CHECK_U64(config->arbiter.quiet_usec, 5 * MA_USEC_PER_SEC);
    CHECK_U64(config->arbiter.horizon_usec, 3 * MA_USEC_PER_SEC);
    CHECK_U64(config->rules.n_rules, 2);
    /* reload: one file turns bad; the old configuration stays what it was */
    write_file(sub, "20-b.conf", "[Arbiter]\nArm=kill\n\nReserve=lots\n");
    other = config;
    CHECK_I64(ma_config_load(path, &other, &err), -EINVAL);
    CHECK(other == config && strstr(err.message, "20-b.conf:4: Reserve=lots") != NULL);
    CHECK_U64(config->arbiter.arm, MA_ARM_KILL);
    ma_config_destroy(config);
    remove_file(sub, "10-a.conf");
    remove_file(sub, "20-b.conf");
    remove_file(sub, "30-c.conf.bak");
    remove_file(folder, "memarb.conf.d");
    remove_file(folder, "memarb.conf");
    CHECK_I64(ma_config_load(path, &config, &err), -EINVAL);
    CHECK(strstr(err.message, "cannot read it: No such file") != NULL);
    CHECK_I64(ma_config_load(folder, &config, &err), -EINVAL);
    CHECK(strstr(err.message, "not a regular file") != NULL);
    (void) rmdir(folder);
}

/* The unit that gives back runs when memarbd cannot start, and a bad configuration is the likeliest reason. */
static void giving_back_reads_what_is_good_of_a_bad_configuration(void) {
    char folder[] = "/tmp/memarb-config-XXXXXX";
    char path[256];
    struct ma_config *config = NULL;
    struct ma_settings settings;
    struct ma_err err = {0};
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/memarb.conf", folder);
    write_file(folder, "memarb.conf",
               "[Arbiter]\nReserve=much\nPolicy=nobody\nSoftWatermark=1MiB\nHardWatermark=2MiB\n"
               "[Host]\nLibvirtUri=qemu:///session\nBudgetCgroup=/not/there\nNonsense=1\n"
               "[Guest name:a]\nImpact=never\nShares=none\n[Odd]\n");
    CHECK_I64(ma_config_load(path, &config, &err), -EINVAL);
    n_problems = 0;
    CHECK_I64(ma_config_load_for_release(path, on_problem, NULL, &config, &err), 0);
    CHECK(n_problems >= 4);
    CHECK_STR(config->host.libvirt_uri, "qemu:///session");
    CHECK_STR(config->host.budget_cgroup, "");
    CHECK_STR(config->arbiter.policy, "balanced");
    CHECK_U64(config->rules.n_rules, 0);
    CHECK(!config->arbiter.is_dry_run);
    CHECK_I64(ma_config_settings(config, 64 * MA_GIB, &settings, &err), 0);
    ma_config_destroy(config);
    write_file(folder, "memarb.conf", "[Arbiter]\nDryRun=yes\nReserve=much\n");
    CHECK_I64(ma_config_load_for_release(path, NULL, NULL, &config, &err), 0);
    CHECK(config->arbiter.is_dry_run);
    ma_config_destroy(config);
    remove_file(folder, "memarb.conf");
    CHECK_I64(ma_config_load_for_release(path, NULL, NULL, &config, &err), 0);
    CHECK_STR(config->host.libvirt_uri, "qemu:///system");
    ma_config_destroy(config);
    remove_file("/tmp", folder + strlen("/tmp/"));
}

static void settings_follow_from_the_hosts_size(void) {
    struct ma_config *config =
        must_parse("[Arbiter]\nReserve=10%\nSoftWatermark=4GiB\nHardWatermark=15%\nArm=kill\n");
    struct ma_settings settings;
    struct ma_err err = {0};
    CHECK_I64(ma_config_settings(config, 20 * MA_GIB, &settings, &err), 0);
    CHECK_U64(settings.reserve_bytes, 2 * MA_GIB);
    CHECK_U64(settings.soft_watermark_bytes, 4 * MA_GIB);
    CHECK_U64(settings.hard_watermark_bytes, 3 * MA_GIB);
    CHECK(settings.critical_watermark_bytes <= 2 * MA_GIB);
    CHECK_U64(settings.has, MA_SETTINGS_HAS_RESERVE | MA_SETTINGS_HAS_SOFT | MA_SETTINGS_HAS_HARD |
                                MA_SETTINGS_HAS_ARM);
    /* On a larger host 15 % is above 4 GiB: only now it shows. */
    CHECK_I64(ma_config_settings(config, 64 * MA_GIB, &settings, &err), -EINVAL);
    CHECK(strstr(err.message, "on a host of 64 GiB") != NULL);
    ma_config_destroy(config);
    config = must_parse("[Host]\nBudget=25%\n");
    CHECK_I64(ma_config_settings(config, 100 * MA_GIB, &settings, &err), 0);
    CHECK_U64(settings.reserve_bytes, 5 * MA_GIB);
    CHECK_U64(settings.has, 0);
    CHECK(config->host.budget.is_said && config->host.budget.is_percent);
    CHECK_U64(config->host.budget.permyriad, 2500);
    ma_config_destroy(config);
}

TAP_MAIN(TAP_CASE(every_key_takes_a_good_value_and_refuses_a_bad_one),
         TAP_CASE(every_guest_key_takes_a_good_value_and_refuses_a_bad_one),
         TAP_CASE(values_arrive),
         TAP_CASE(defaults_hold_where_nothing_is_said),
         TAP_CASE(what_is_wrong_is_named_with_its_place_and_remedy),
         TAP_CASE(nothing_is_cut_silently),
         TAP_CASE(a_guest_that_never_ends_may_have_a_cap),
         TAP_CASE(all_problems_are_reported_not_the_first_alone),
         TAP_CASE(drop_ins_follow_in_order_and_a_bad_one_changes_nothing),
         TAP_CASE(giving_back_reads_what_is_good_of_a_bad_configuration),
         TAP_CASE(settings_follow_from_the_hosts_size));
