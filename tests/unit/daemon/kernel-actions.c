/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves of pages on the workers, on this very process: what a machine with one node can show of the real kernel. */
#include "kernel-actions.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "ktext.h"
#include "tap.h"

#define AREA_BYTES (64 * MA_MIB)

static struct ma_guests guests;
static struct ma_kernel_actions *actions;
static uint64_t next_id;

static bool begin(void) {
    struct ma_err err = {0};
    struct ma_tracked *guest;
    CHECK_I64(ma_guests_init(&guests, 4), 0);
    guest = ma_guests_get(&guests, "00000000-0000-4000-8000-000000000001");
    CHECK(guest != NULL);
    CHECK_I64(ma_process_open(&guest->process, "/proc", getpid(), &err), 0);
    CHECK_I64(ma_kernel_actions_create(&guests, &actions, &err), 0);
    return access("/proc/self/numa_maps", R_OK) == 0;
}

static void end(void) {
    ma_kernel_actions_destroy(actions);
    ma_guests_fini(&guests);
}

static int submit(const char *uuid, uint64_t bytes, uint16_t to_node) {
    const struct ma_actuator *actuator = ma_kernel_actions_actuator(actions);
    struct ma_request request = {
        .id = ++next_id, .action = MA_ACTION_REBALANCE, .to_bytes = bytes, .to_node = to_node};
    (void) snprintf(request.uuid, sizeof(request.uuid), "%s", uuid);
    return actuator->submit(actuator->self, &request);
}

static void tell_threads(void) {
    glob_t found;
    char text[1024];
    if (glob("/proc/self/task/*/stat", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (ma_ktext_read_at(AT_FDCWD, found.gl_pathv[i], text, sizeof(text)) > 0) {
                (void) fprintf(stderr, "# %s", text);
            }
        }
        globfree(&found);
    }
}

/* For as long as the test may run. What the threads do is told now and then, for whoever reads why it did not end. */
static struct ma_outcome wait_outcome_of(uint64_t id) {
    struct pollfd poll_fd = {.fd = ma_kernel_actions_fd(actions), .events = POLLIN};
    struct ma_outcome outcome = {0};
    while (!ma_kernel_actions_pop(actions, &outcome)) {
        if (poll(&poll_fd, 1, 20000) == 0) {
            (void) fprintf(stderr, "# 20 s without an outcome of request %" PRIu64 "\n", id);
            tell_threads();
        }
    }
    CHECK_U64(outcome.id, id);
    CHECK(outcome.action == MA_ACTION_REBALANCE || outcome.action == MA_ACTION_CAP);
    return outcome;
}

static struct ma_outcome wait_outcome(void) {
    return wait_outcome_of(next_id);
}

static void an_outcome_for_each_move(void) {
    char *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    memset(area, 1, AREA_BYTES);
    if (begin()) {
        const char *uuid = guests.items[0]->uuid;
        struct ma_outcome outcome;
        CHECK_I64(submit(uuid, 16 * MA_MIB, 0), 0); /* where they are already */
        outcome = wait_outcome();
        CHECK_U64(outcome.result, MA_OUTCOME_DONE);
        CHECK_STR(outcome.detail, "16 of 16 MiB moved from node 0 to node 0");
        CHECK_I64(submit(uuid, 16 * MA_MIB, 1023), 0); /* no machine has it */
        outcome = wait_outcome();
        CHECK_U64(outcome.result, MA_OUTCOME_REFUSED);
        CHECK(strstr(outcome.detail, "node 1023") != NULL);
        CHECK_I64(submit("nobody", MA_MIB, 0), -ENOENT);
    } else {
        (void) fprintf(stderr, "# not shown here: this kernel has no numa_maps\n");
    }
    end();
    (void) munmap(area, AREA_BYTES);
}

static void one_at_a_time_and_it_can_be_stopped(void) {
    char *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    memset(area, 1, AREA_BYTES);
    if (begin()) {
        const char *uuid = guests.items[0]->uuid;
        struct ma_outcome outcome;
        CHECK_I64(submit(uuid, MA_GIB, 0), 0);
        uint64_t first = next_id;
        int second = submit(uuid, MA_GIB, 0);
        ma_kernel_actions_stop_rebalance(actions);
        outcome = wait_outcome_of(first);
        CHECK(outcome.result == MA_OUTCOME_DONE); /* stopped is no failure */
        if (second == 0) { /* on a machine so busy that the first one was over already */
            outcome = wait_outcome_of(first + 1);
        } else {
            CHECK_I64(second, -EBUSY);
        }
        CHECK_I64(submit(uuid, MA_MIB, 0), 0); /* and bars nobody */
        outcome = wait_outcome();
        CHECK_STR(outcome.detail, "1 of 1 MiB moved from node 0 to node 0");
    }
    end();
    (void) munmap(area, AREA_BYTES);
}

/* The end does not wait for a long move. */
static void destroyed_in_the_middle(void) {
    char *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    memset(area, 1, AREA_BYTES);
    if (begin()) {
        CHECK_I64(submit(guests.items[0]->uuid, MA_GIB, 0), 0);
    }
    end();
    (void) munmap(area, AREA_BYTES);
}

static void put(const char *folder, const char *name, const char *text) {
    char path[256];
    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_I64(fclose(file), 0);
}

static struct ma_outcome set_max(int dir_fd, uint64_t value) {
    struct ma_limit_request request = {
        .id = ++next_id, .limit = MA_LIMIT_MEMORY_MAX, .value = value, .dir_fd = dir_fd};
    CHECK_I64(ma_kernel_actions_limit(actions, &request), 0);
    return wait_outcome();
}

/* A guest may have grown while its request waited for a worker. */
static void memory_max_is_not_set_below_what_is_used_by_then(void) {
    char folder[] = "/tmp/memarb-group.XXXXXX";
    char text[64];
    CHECK(mkdtemp(folder) != NULL);
    int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir_fd >= 0);
    (void) begin();
    put(folder, "memory.max", "max\n");
    put(folder, "memory.current", "2147483648\n");
    CHECK_U64(set_max(dir_fd, MA_GIB).result, MA_OUTCOME_REFUSED);
    CHECK(ma_ktext_read_at(dir_fd, "memory.max", text, sizeof(text)) > 0);
    CHECK_STR(text, "max\n");
    CHECK_U64(set_max(dir_fd, 2 * MA_GIB).result, MA_OUTCOME_DONE);
    CHECK(ma_ktext_read_at(dir_fd, "memory.max", text, sizeof(text)) > 0);
    CHECK_STR(text, "2147483648");
    put(folder, "memory.current", "4294967296\n"); /* what is lifted is never below */
    CHECK_U64(set_max(dir_fd, MA_LIMIT_NONE).result, MA_OUTCOME_DONE);
    end();
    (void) unlinkat(dir_fd, "memory.max", 0);
    (void) unlinkat(dir_fd, "memory.current", 0);
    (void) close(dir_fd);
    CHECK_I64(rmdir(folder), 0);
}

TAP_MAIN(TAP_CASE(an_outcome_for_each_move),
         TAP_CASE(one_at_a_time_and_it_can_be_stopped),
         TAP_CASE(destroyed_in_the_middle),
         TAP_CASE(memory_max_is_not_set_below_what_is_used_by_then));
