/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor-gather.c - facts from made files, made answers, made definitions. */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "gather.h"
#include "tap.h"

static char root[64];

static void put(const char *path, const char *text, size_t size) {
    char full[256];
    (void) snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *c = full + strlen(root) + 1; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void) mkdir(full, 0755);
            *c = '/';
        }
    }
    FILE *file = fopen(full, "w");
    CHECK(file != NULL && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}
#define PUT(path, text) put(path, text, sizeof(text) - 1)

static struct ma_doctor_facts gathered(void) {
    struct ma_doctor_facts facts = {0};
    ma_gather_host(root, &facts);
    return facts;
}

static int drop(const char *path, const struct stat *status, int kind, struct FTW *at) {
    (void) status;
    (void) kind;
    (void) at;
    return remove(path);
}

static void clean(void) {
    CHECK_I64(nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void an_empty_host_lacks_things(void) {
    (void) snprintf(root, sizeof(root), "/tmp/memarb-doctor-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    struct ma_doctor_facts f = gathered();
    CHECK(f.has_psi == MA_NO && f.has_cgroup2 == MA_NO && f.has_cgroup2_memory == MA_UNKNOWN);
    CHECK(f.has_swap == MA_UNKNOWN && f.is_ksm_running == MA_UNKNOWN && f.arbiters == 0);
}

static void files_are_read(void) {
    PUT("/proc/pressure/memory", "some avg10=0.00\n");
    PUT("/proc/meminfo", "MemTotal: 1 kB\nSwapTotal:       4096 kB\n");
    PUT("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    PUT("/sys/kernel/mm/ksm/run", "1\n");
    struct ma_doctor_facts f = gathered();
    CHECK(f.has_psi == MA_YES && f.has_cgroup2 == MA_YES && f.has_cgroup2_memory == MA_YES);
    CHECK(f.has_swap == MA_YES && f.is_ksm_running == MA_YES);
    PUT("/proc/meminfo", "MemTotal: 1 kB\nSwapTotal:          0 kB\n");
    PUT("/sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
    PUT("/sys/kernel/mm/ksm/run", "0\n");
    f = gathered();
    CHECK(f.has_cgroup2_memory == MA_NO && f.has_swap == MA_NO && f.is_ksm_running == MA_NO);
}

static void programs_are_found_under_their_interpreter_too(void) {
    PUT("/proc/12/comm", "pvestatd\n");
    PUT("/proc/13/comm", "python3\n");
    PUT("/proc/13/cmdline", "/usr/bin/python3\0/usr/sbin/momd\0-c\0/etc/momd.conf\0");
    PUT("/proc/14/comm", "python3\n");
    PUT("/proc/14/cmdline", "/usr/bin/python3\0/srv/a.py\0x\0earlyoom\0");
    PUT("/proc/15/comm", "vim\n");
    PUT("/proc/15/cmdline", "vim\0nohang\0");
    PUT("/proc/self-made/comm", "ksmtuned\n");
    CHECK_U64(gathered().arbiters, MA_ARBITER_PVESTATD | MA_ARBITER_MOM);
    clean();
}

static void answers_are_summed(void) {
    struct ma_doctor_facts f = {0};
    json_t *status = json_loads("{\"dry_run\":true,\"libvirt\":\"lost\",\"total_bytes\":1000,"
                                "\"reserve_bytes\":50,\"guests\":3,\"problems\":1,\"stuck\":2,"
                                "\"slope_bytes_per_s\":-70}",
                                0, NULL);
    json_t *snapshot =
        json_loads("{\"guests\":[{\"max_bytes\":400,\"growth_bytes_per_s\":90},"
                   "{\"max_bytes\":400,\"config\":{\"guarantee_bytes\":100},\"pinned_bytes\":30},"
                   "{\"max_bytes\":400,\"pinned_bytes\":380,\"growth_bytes_per_s\":-900},{\"max_"
                   "bytes\":\"x\"}]}",
                   0, NULL);
    ma_gather_answers(status, snapshot, &f);
    CHECK(f.daemon == MA_DAEMON_ANSWERS && f.is_dry_run && f.is_libvirt_lost);
    CHECK_U64(f.guaranteed_bytes, 200 + 100 + 380);
    CHECK_U64(f.fill_bytes_per_s, 90);
    CHECK_U64(f.reserve_bytes + f.n_guests + f.n_problems + f.n_stuck, 50 + 3 + 1 + 2);
    ma_gather_answers(NULL, NULL, &f);
    json_decref(status);
    json_decref(snapshot);
}

static void definitions_are_looked_through(void) {
    static const char bare[] = "<domain><memory unit='MiB'>64</memory><devices>"
                               "<memballoon model='virtio'/></devices></domain>";
    static const char full[] =
        "<domain "
        "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><memory>1</memory><devices>"
        "<channel type='unix'><target type='virtio' name='org.memarb.guest.0' "
        "state='disconnected'/></channel><memballoon model='virtio' freePageReporting='on'><stats "
        "period='5'/></memballoon></devices><qemu:commandline><qemu:arg "
        "value='-chardev'/><qemu:arg "
        "value='socket,id=m,path=/x,server=off,reconnect=1'/></qemu:commandline></domain>";
    struct ma_doctor_facts f = {0};
    ma_gather_domain("bare", bare, &f);
    CHECK_U64(f.without_statistics.n + f.without_channel.n + f.without_reporting.n +
                  f.without_monitor.n,
              4);
    f = (struct ma_doctor_facts){0};
    ma_gather_domain("full", full, &f);
    CHECK_U64(f.without_statistics.n + f.without_channel.n + f.without_reporting.n +
                  f.without_monitor.n + f.without_balloon.n,
              0);
    CHECK_STR(f.silent_agent.names, "full");
    ma_gather_domain("none", "<domain><devices><memballoon model='none'/></devices></domain>", &f);
    CHECK_STR(f.without_balloon.names, "none");
    ma_gather_domain("broken", "<domain>", &f);
    CHECK_U64(f.n_domains, 2);
}

TAP_MAIN(TAP_CASE(answers_are_summed),
         TAP_CASE(definitions_are_looked_through),
         TAP_CASE(an_empty_host_lacks_things),
         TAP_CASE(files_are_read),
         TAP_CASE(programs_are_found_under_their_interpreter_too));
