/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command costs: no allocation, one send(2); and what a client at rest holds. malloc and send are this program's
 * own here: they count and pass on. Under ASan and TSan, which have their own, only the sends are counted. */
#include <sys/syscall.h>

#include "peer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define HAS_OWN_MALLOC 0
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define HAS_OWN_MALLOC 0
#    endif
#endif
#ifndef HAS_OWN_MALLOC
#    define HAS_OWN_MALLOC 1
#endif

static unsigned allocations, sends;
static int send_flags;
static size_t held_bytes;

#if HAS_OWN_MALLOC
#    include <malloc.h>
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static void *count(void *p) {
    allocations++;
    held_bytes += p != NULL ? malloc_usable_size(p) : 0;
    return p;
}
void *malloc(size_t size) {
    return count(__libc_malloc(size));
}
void *calloc(size_t n, size_t size) {
    return count(__libc_calloc(n, size));
}
void *realloc(void *p, size_t size) {
    held_bytes -= p != NULL ? malloc_usable_size(p) : 0;
    return count(__libc_realloc(p, size));
}
void free(void *p) {
    held_bytes -= p != NULL ? malloc_usable_size(p) : 0;
    __libc_free(p);
}
#endif

ssize_t send(int fd, const void *buf, size_t n, int flags) {
    sends++;
    send_flags = flags;
    return syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);
}

static void a_balloon_command_allocates_nothing_and_is_one_send(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    allocations = 0;
    sends = 0;
    CHECK_I64(qmp_balloon(p.client, &call, 536870912), 0);
    CHECK_U64(sends, 1);
    CHECK_U64((unsigned) send_flags, MSG_NOSIGNAL | MSG_DONTWAIT);
    CHECK_U64(allocations, 0);
    CHECK_STR(peer_heard(&p),
              "{\"execute\":\"balloon\",\"arguments\":{\"value\":536870912},\"id\":2}\n");
    peer_shut(&p);
}
static void no_single_command_allocates(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    allocations = 0;
    sends = 0;
    CHECK_I64(qmp_query_balloon(p.client, &call), 0);
    CHECK_I64(qmp_get_guest_stats(p.client, &call, "/machine/peripheral/balloon0"), 0);
    CHECK_I64(qmp_set_stats_interval(p.client, &call, "/machine/peripheral/balloon0", 2), 0);
    CHECK_I64(qmp_resize_virtio_mem(p.client, &call, "/machine/peripheral/vm0", 2097152), 0);
    CHECK_I64(qmp_stop(p.client, &call), 0);
    CHECK_I64(qmp_execute(p.client, &call, "query-chardev", NULL), 0);
    CHECK_U64(allocations, 0);
    CHECK_U64(sends, 6);
    peer_shut(&p);
}
static void refusals_and_deadlines_allocate_nothing(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    allocations = 0;
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        CHECK_I64(qmp_balloon(p.client, &call, 4096 + i), 0);
    }
    CHECK_I64(qmp_balloon(p.client, &call, 4096), -EBUSY);
    qmp_client_dispatch(p.client, 0, p.now_usec + 60000000);
    CHECK_U64(p.dones, QMP_INFLIGHT_MAX);
    CHECK_U64(allocations, 0);
    peer_shut(&p);
}
static void a_client_at_rest_holds_little(void) {
    static struct peer p;
    size_t before = held_bytes;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_query_name(p.client, &call), 0);
    /* A long answer in pieces, so that the input buffer had to grow. */
    static char name[20000];
    memset(name, 'n', sizeof(name) - 1);
    unsigned long long id = peer_id(peer_heard(&p));
    peer_says(&p, "{\"return\": {\"name\": \"");
    peer_says(&p, name);
    PEER_ANSWER(&p, "\"}, \"id\": %llu}", id);
    CHECK(p.outcome == QMP_DONE);
    size_t rest = held_bytes - before;
    (void) printf("# %zu bytes of heap at rest\n", rest);
    CHECK(rest <= 6144);
    CHECK(!HAS_OWN_MALLOC || rest > 0);
    peer_shut(&p);
    CHECK_U64(held_bytes, before);
}

TAP_MAIN(TAP_CASE(a_balloon_command_allocates_nothing_and_is_one_send),
         TAP_CASE(no_single_command_allocates),
         TAP_CASE(refusals_and_deadlines_allocate_nothing),
         TAP_CASE(a_client_at_rest_holds_little));
