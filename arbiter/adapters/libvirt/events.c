/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* events.c - libvirt's event loop in a thread of its own, and what its callbacks make of events.
 *
 * Callbacks ask nothing of libvirt: a call from this thread would hold up every event and keepalive of the process.
 * They post what the event itself tells, and leave the rest to the survey by marking the guest dirty. The one thing
 * they can wait for is room in the ring. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "internal.h"

/* A daemon that answers no keepalive for this long is taken as gone and its connections end: calls that hang in it
 * return. libvirt's own defaults are 5 x 5 s; "setting this too low may cause keepalive timeouts" (libvirtd.conf). */
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT      4U
/* Wakes the event loop so that it sees a stop even if a wake-up got lost. */
#define EVENTS_BEAT_MS    10000
#define EVENTS_RETRY_USEC 100000U

static bool uuid_of(virDomainPtr dom, char uuid[VIR_UUID_STRING_BUFLEN]) {
    return virDomainGetUUIDString(dom, uuid) == 0;
}

static struct ma_source_state state_of_suspend(struct lv_guest *g, int detail) {
    struct ma_source_state s = {.state = MA_GUEST_PAUSED};
    if (detail == VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED ||
        detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY ||
        detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED) {
        s.state = MA_GUEST_MIGRATING;
    } else if (detail == VIR_DOMAIN_EVENT_SUSPENDED_PAUSED) {
        s.is_by_other = lv_now_usec() >= g->own_pause_until_usec;
        g->own_pause_until_usec = 0;
    }
    return s;
}

static struct ma_source_state state_of_resume(struct lv_guest *g, int detail) {
    struct ma_source_state s = {.state = MA_GUEST_RUNNING};
    if (detail == VIR_DOMAIN_EVENT_RESUMED_UNPAUSED) {
        s.is_by_other = lv_now_usec() >= g->own_resume_until_usec;
        g->own_resume_until_usec = 0;
    }
    return s;
}

static void
on_known_lifecycle_locked(struct ma_libvirt *lv, struct lv_guest *g, int event, int detail) {
    struct ma_source_state state = {.state = MA_GUEST_RUNNING};
    g->state_events++;
    switch (event) {
    case VIR_DOMAIN_EVENT_STOPPED:
        lv_end_locked(lv, g);
        return;
    case VIR_DOMAIN_EVENT_SUSPENDED:
        state = state_of_suspend(g, detail);
        lv_mark_dirty_locked(lv, g, LV_DIRTY_STATE); /* the reason (saving?) is in no event */
        break;
    case VIR_DOMAIN_EVENT_RESUMED:
        state = state_of_resume(g, detail);
        break;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
        state.state = MA_GUEST_SHUTTING_DOWN;
        break;
    case VIR_DOMAIN_EVENT_CRASHED:
        state.state = MA_GUEST_CRASHED;
        break;
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
        state.state = MA_GUEST_PAUSED;
        break;
    default: /* started, defined and what is yet to come: to be read */
        lv_mark_dirty_locked(lv, g, LV_DIRTY_FACTS | LV_DIRTY_STATE);
        return;
    }
    if (g->is_announced) {
        lv_post_state_locked(lv, g, state);
    } else {
        lv_mark_dirty_locked(lv, g, LV_DIRTY_STATE);
    }
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *opaque) {
    struct ma_libvirt *lv = opaque;
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void) conn;
    if (!uuid_of(dom, uuid)) {
        return 0;
    }
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_guest *g = lv_find_locked(lv, uuid);
    bool is_there = event == VIR_DOMAIN_EVENT_STARTED || event == VIR_DOMAIN_EVENT_RESUMED;
    if (g == NULL && is_there) {
        g = lv_add_locked(lv, uuid);
    }
    if (g != NULL) {
        lv_ref_locked(g); /* posting may wait, and somebody else may end it meanwhile */
        g->listed_in = lv->epoch;
        on_known_lifecycle_locked(lv, g, event, detail);
        lv_unref_locked(lv, g);
    }
    (void) pthread_mutex_unlock(&lv->lock);
    return 0;
}

static void mark_dirty(struct ma_libvirt *lv, virDomainPtr dom, unsigned dirty) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (!uuid_of(dom, uuid)) {
        return;
    }
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_guest *g = lv_find_locked(lv, uuid);
    if (g != NULL) {
        lv_mark_dirty_locked(lv, g, dirty);
    }
    (void) pthread_mutex_unlock(&lv->lock);
}

static void on_device(virConnectPtr conn, virDomainPtr dom, const char *alias, void *opaque) {
    (void) conn;
    (void) alias;
    mark_dirty(opaque, dom, LV_DIRTY_FACTS);
}

static void
on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *opaque) {
    (void) conn;
    (void) type; /* a title, or any namespace: rules may look at each */
    (void) uri;
    mark_dirty(opaque, dom, LV_DIRTY_FACTS);
}

static void on_memory_device(virConnectPtr conn,
                             virDomainPtr dom,
                             const char *alias,
                             unsigned long long size_kib,
                             void *opaque) {
    (void) conn;
    (void) alias;
    (void) size_kib; /* one device's; the definition has them all */
    mark_dirty(opaque, dom, LV_DIRTY_FACTS);
}

static void on_reboot(virConnectPtr conn, virDomainPtr dom, void *opaque) {
    struct ma_libvirt *lv = opaque;
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void) conn;
    if (!uuid_of(dom, uuid)) {
        return;
    }
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_guest *g = lv_find_locked(lv, uuid);
    if (g != NULL) {
        lv_ref_locked(g);
        lv_post_event_locked(lv, g, MA_SOURCE_RESET);
        lv_unref_locked(lv, g);
    }
    (void) pthread_mutex_unlock(&lv->lock);
}

/* At most one a second and guest, and it costs no call: the last figures again with the new amount. */
static void on_balloon(virConnectPtr conn, virDomainPtr dom, unsigned long long kib, void *opaque) {
    struct ma_libvirt *lv = opaque;
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void) conn;
    if (!uuid_of(dom, uuid)) {
        return;
    }
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_guest *g = lv_find_locked(lv, uuid);
    uint64_t now = lv_now_usec();
    if (g != NULL) {
        g->memory.said_usec = now;
        g->memory.said_kib = kib;
    }
    if (g != NULL && g->is_announced && g->has_figures && g->memory.has_balloon) {
        struct ma_source_figures f = g->figures;
        if ((f.stats.has & MA_STATS_HAS_AGE) != 0) {
            f.stats.age_usec += now - f.taken_usec;
        }
        f.taken_usec = now;
        f.has_actual = true;
        f.actual_bytes = lv_actual(kib, &g->memory, &f.is_actual_absurd);
        lv_ref_locked(g);
        lv_post_figures_locked(lv, g, &f);
        lv_unref_locked(lv, g);
    }
    (void) pthread_mutex_unlock(&lv->lock);
}

static void on_migration(virConnectPtr conn, virDomainPtr dom, int iteration, void *opaque) {
    (void) conn;
    (void) iteration;
    mark_dirty(opaque, dom, LV_DIRTY_STATE);
}

static void on_close(virConnectPtr conn, int reason, void *opaque) {
    struct ma_libvirt *lv = opaque;
    (void) conn;
    (void) reason;
    (void) pthread_mutex_lock(&lv->lock);
    lv->is_closed = true;
    (void) pthread_cond_broadcast(&lv->survey);
    (void) pthread_mutex_unlock(&lv->lock);
}

int lv_events_register(struct ma_libvirt *lv, virConnectPtr conn, int ids[LV_EVENTS_MAX]) {
    const struct {
        int id;
        virConnectDomainEventGenericCallback callback;
        bool is_needed; /* the rest is left out where the driver lacks it (the test driver) */
    } wanted[] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), true},
        {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot), false},
        {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon), false},
        {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device), false},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device), false},
        {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata), false},
        {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_memory_device),
         false},
        {VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, VIR_DOMAIN_EVENT_CALLBACK(on_migration), false},
    };
    for (size_t i = 0; i < LV_EVENTS_MAX; i++) {
        ids[i] = -1;
    }
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        ids[i] = virConnectDomainEventRegisterAny(conn, NULL, wanted[i].id, wanted[i].callback, lv,
                                                  NULL);
        if (ids[i] < 0 && wanted[i].is_needed) {
            return -EIO;
        }
    }
    return virConnectRegisterCloseCallback(conn, on_close, lv, NULL) < 0 ? -EIO : 0;
}

void lv_events_deregister(virConnectPtr conn, const int ids[LV_EVENTS_MAX]) {
    /* Failures: the connection is gone, and its callbacks with it. */
    for (size_t i = 0; i < LV_EVENTS_MAX; i++) {
        if (ids[i] >= 0) {
            (void) virConnectDomainEventDeregisterAny(conn, ids[i]);
        }
    }
    (void) virConnectUnregisterCloseCallback(conn, on_close);
}

virConnectPtr lv_open(const struct ma_libvirt *lv, bool is_read_only) {
    virConnectPtr conn = is_read_only ? virConnectOpenReadOnly(lv->uri) : virConnectOpen(lv->uri);
    if (conn != NULL) {
        /* Drivers without a daemon have none: nothing hangs as a whole there. */
        (void) virConnectSetKeepAlive(conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
    }
    return conn;
}

/* libvirt prints each error to stderr unless somebody takes it; callers read it where it happened. */
static void swallow(void *userdata, virErrorPtr error) {
    (void) userdata;
    (void) error;
}

static int init_result;
static void init(void) {
    virSetErrorFunc(NULL, swallow);
    init_result = virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ? -EIO : 0;
}

int lv_events_init_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void) pthread_once(&once, init);
    return init_result;
}

static void on_wake(int timer, void *opaque) {
    (void) opaque;
    virEventUpdateTimeout(timer, EVENTS_BEAT_MS);
}

int lv_events_add_timer(struct ma_libvirt *lv) {
    lv->wake_timer = virEventAddTimeout(EVENTS_BEAT_MS, on_wake, NULL, NULL);
    return lv->wake_timer < 0 ? -ENOMEM : 0;
}

void lv_events_wake(struct ma_libvirt *lv) {
    virEventUpdateTimeout(lv->wake_timer, 0);
}

void *lv_events_main(void *opaque) {
    struct ma_libvirt *lv = opaque;
    while (!atomic_load(&lv->stop_events)) {
        if (virEventRunDefaultImpl() < 0) {
            (void) usleep(EVENTS_RETRY_USEC); /* no memory for poll(): nothing else to be done */
        }
    }
    (void) pthread_mutex_lock(&lv->lock);
    lv->is_events_done = true;
    (void) pthread_cond_broadcast(&lv->done);
    (void) pthread_mutex_unlock(&lv->lock);
    return NULL;
}
