/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only a booted guest can show: a balloon that moves, statistics that arrive, virtio-mem that shrinks.
 * argv[1]: tests/support/guest-image.sh. */
#include "qmp-lab.h"

#define GUEST_MIB 192U

static struct lab lab;
static struct lab_client c;
static char image[64], kernel[96], initrd[96];

static bool build_image(const char *script) {
    int status = -1;
    (void) snprintf(image, sizeof(image), "/tmp/qmp-guest-XXXXXX");
    CHECK(mkdtemp(image) != NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void) dup2(STDERR_FILENO, STDOUT_FILENO);
        (void) execl(script, script, image, (char *) NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    (void) snprintf(kernel, sizeof(kernel), "%s/vmlinux", image);
    (void) snprintf(initrd, sizeof(initrd), "%s/initrd.gz", image);
    return status == 0 && access(kernel, R_OK) == 0;
}
static void remove_image(void) {
    char vmlinuz[96];
    (void) snprintf(vmlinuz, sizeof(vmlinuz), "%s/vmlinuz", image);
    (void) unlink(kernel);
    (void) unlink(initrd);
    (void) unlink(vmlinuz);
    (void) rmdir(image);
}

static void boot(void) {
    static char chardev[128];
    lab_folder(&lab);
    (void) snprintf(chardev, sizeof(chardev), "socket,id=m,path=%s,server=on,wait=off", lab.path);
    const char *const args[] = {
        "qemu-system-x86_64",
        "-nodefaults",
        "-display",
        "none",
        "-accel",
        "tcg,tb-size=32",
        "-cpu",
        "max",
        "-m",
        "192M,slots=2,maxmem=1G",
        "-object",
        "memory-backend-ram,id=vm0,size=128M",
        "-device",
        "virtio-mem-pci,id=vmem0,memdev=vm0,requested-size=64M",
        "-device",
        "virtio-balloon-pci,id=balloon0",
        "-chardev",
        chardev,
        "-mon",
        "chardev=m,mode=control",
        "-kernel",
        kernel,
        "-initrd",
        initrd,
        "-append",
        "console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check panic=-1 swiotlb=noforce "
        "memhp_default_state=online_movable"};
    for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        lab_arg(&lab, args[i]);
    }
    lab_spawn(&lab);
    lab_dial(&lab, &c,
             &(struct qmp_options){.backoff_min_usec = 20000, .backoff_max_usec = 100000});
    LAB_UNTIL(&c, qmp_client_state(c.client) == QMP_STATE_READY);
}
/* Asks until the guest's driver has answered once. */
static void wait_for_statistics(const char *path) {
    uint64_t end = lab_now() + 3 * LAB_PATIENCE_USEC;
    LAB_DONE(&c, qmp_set_stats_interval, path, 1);
    do {
        uint64_t next = lab_now() + 200000;
        CHECK(lab_now() < end);
        LAB_DONE(&c, qmp_get_guest_stats, path);
        while (lab_now() < next) {
            lab_turn(&c);
        }
    } while (c.reply.stats.last_update_sec == 0);
}
static void statistics_arrive_and_are_sane(void) {
    boot();
    wait_for_statistics("/machine/peripheral/balloon0");
    const struct qmp_guest_stats *s = &c.reply.stats;
    CHECK_U64(s->absurd, 0);
    CHECK((s->present & 1U << QMP_STAT_TOTAL) != 0 && (s->present & 1U << QMP_STAT_AVAILABLE) != 0);
    CHECK(s->value[QMP_STAT_TOTAL] > 100 * LAB_MIB && s->value[QMP_STAT_TOTAL] < 300 * LAB_MIB);
    CHECK(s->value[QMP_STAT_AVAILABLE] < s->value[QMP_STAT_TOTAL]);
}
static void the_balloon_moves_and_tells(void) {
    int64_t target = (int64_t) ((GUEST_MIB - 32) * LAB_MIB);
    LAB_DONE(&c, qmp_balloon, (uint64_t) target);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_BALLOON_CHANGE] > 0 &&
                      c.last[QMP_EVENT_BALLOON_CHANGE].balloon.actual_bytes == target);
    CHECK(!c.last[QMP_EVENT_BALLOON_CHANGE].balloon.is_absurd);
    LAB_DONE(&c, qmp_query_balloon);
    CHECK_I64(c.reply.balloon.actual_bytes, target);
}
static void virtio_mem_shrinks_on_request(void) {
    LAB_DONE(&c, qmp_find_devices);
    CHECK_U64(c.reply.devices.virtio_mem_count, 1);
    char path[QMP_PATH_MAX];
    memcpy(path, c.reply.devices.virtio_mem_path[0], sizeof(path));
    CHECK_STR(path, "/machine/peripheral/vmem0");
    LAB_CALL(&c, qmp_resize_virtio_mem, path, 12345);
    CHECK(c.outcome == QMP_ERROR); /* no multiple of a block */
    c.kinds[QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE] = 0;
    LAB_DONE(&c, qmp_resize_virtio_mem, path, 16 * LAB_MIB);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE] > 0 &&
                      c.last[QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE].size_bytes == 16 * LAB_MIB);
    CHECK_STR(c.last[QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE].path, path);
    LAB_DONE(&c, qmp_query_memory_devices);
    CHECK(c.reply.memory_devices.item[0].kind == QMP_MEMORY_DEVICE_VIRTIO_MEM);
    CHECK_U64(c.reply.memory_devices.item[0].size_bytes, 16 * LAB_MIB);
    CHECK_U64(c.reply.memory_devices.item[0].requested_bytes, 16 * LAB_MIB);
    CHECK_U64(c.reply.memory_devices.item[0].block_bytes, 2 * LAB_MIB);
    LAB_DONE(&c, qmp_query_memory_size_summary);
    CHECK_U64(c.reply.memory_size.plugged_bytes, 16 * LAB_MIB);
}
static void a_reset_is_an_event(void) {
    LAB_DONE(&c, qmp_execute, "system_reset", NULL);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_RESET] > 0);
    CHECK(!c.last[QMP_EVENT_RESET].by_guest);
    lab_stop(&lab, &c);
}

/* One guest, one story: the cases build on each other. */
int main(int argc, char **argv) {
    static const struct tap_case cases[] = {
        TAP_CASE(statistics_arrive_and_are_sane), TAP_CASE(the_balloon_moves_and_tells),
        TAP_CASE(virtio_mem_shrinks_on_request), TAP_CASE(a_reset_is_an_event)};
    if (argc != 2) {
        return 2;
    }
    if (!build_image(argv[1])) {
        remove_image();
        TAP_SKIP_ALL("the guest's image cannot be built here");
    }
    (void) atexit(remove_image);
    (void) printf("1..%zu\n", sizeof(cases) / sizeof(cases[0]));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cases[i].run();
        (void) printf("ok %zu - %s\n", i + 1, cases[i].name);
    }
    return 0;
}
