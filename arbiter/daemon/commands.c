/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* commands.c - an operator's command, handed from the control thread to the loop and answered. One at a time: the
 * control thread serves its clients one after another. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "report.h"

/* What the control thread waits for the loop. The loop answers in a cycle; longer means it is stuck, and saying so is
 * better than a client that hangs. */
#define ANSWER_SEC 2
/* What an answer waits for the files: what an operator was told holds also after a crash. Too short: a disarm may be lost with
 * memarbd; too long: a disk that hangs holds up all clients. A file on tmpfs takes a millisecond. Guessed. */
#define KEPT_USEC (UINT64_C(500) * MA_USEC_PER_MSEC)

/* Waits for the loop's answer; slot->lock is held. */
static int wait_for_answer(struct ma_daemon *d, struct ma_err *err) {
    struct ma_command_slot *slot = &d->slot;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ANSWER_SEC;
    slot->is_waiting = true;
    slot->is_done = false;
    slot->number++;
    uint64_t one = 1;
    (void) !write(d->command_fd, &one, sizeof(one));
    int r = 0;
    while (!slot->is_done && r == 0) {
        r = pthread_cond_timedwait(&slot->answered, &slot->lock, &until);
    }
    if (!slot->is_done) {
        slot->is_waiting = false; /* the loop will not find it any more */
        return ma_err_set(err, -ETIMEDOUT, "the loop did not answer within %d s; see the journal",
                          ANSWER_SEC);
    }
    if (err != NULL) {
        *err = slot->err;
    }
    return slot->result;
}

int ma_commands_post(void *userdata, const struct ma_command *command, struct ma_err *err) {
    struct ma_daemon *d = userdata;
    pthread_mutex_lock(&d->slot.lock);
    d->slot.command = *command;
    d->slot.is_admission = false;
    int r = wait_for_answer(d, err);
    pthread_mutex_unlock(&d->slot.lock);
    if (r == 0) {
        (void) ma_writer_flush(d->writer, KEPT_USEC);
    }
    return r;
}

int ma_commands_admit(void *userdata,
                      const struct ma_admission_request *request,
                      struct ma_admission_answer *ret,
                      struct ma_err *err) {
    struct ma_daemon *d = userdata;
    pthread_mutex_lock(&d->slot.lock);
    d->slot.request = *request;
    d->slot.is_admission = true;
    int r = wait_for_answer(d, err);
    if (r == 0) {
        *ret = d->slot.answer;
    }
    pthread_mutex_unlock(&d->slot.lock);
    return r;
}

static void tell_arm(struct ma_daemon *d, const char *what) {
    struct ma_report report = {.message_id = MA_MESSAGE_ARM,
                               .kind = "arm",
                               .level = MA_LOG_NOTICE,
                               .result = ma_arm_name(ma_daemon_arm(d))};
    ma_report(d, &report, "%s; armed: %s.", what, ma_arm_name(ma_daemon_arm(d)));
}

/* Whether settings of guests that help to see may be made follows the arming. */
void ma_daemon_apply_arming(struct ma_daemon *d) {
    if (d->qmp != NULL) {
        ma_qmp_source_set_may_touch(d->qmp, ma_daemon_may_touch(d), ma_now_usec());
    }
    if (d->libvirt != NULL) {
        ma_libvirt_set_leave_balloon_period(d->libvirt, !ma_daemon_may_touch(d));
    }
}

static void set_arm(struct ma_daemon *d, enum ma_arm arm) {
    d->has_arm_override = true;
    d->arm_override = arm;
    d->is_state_dirty = true;
    ma_daemon_apply_arming(d);
}

static int do_hold(struct ma_daemon *d, const struct ma_command *command, struct ma_err *err) {
    struct ma_tracked *guest = ma_guests_find(&d->guests, command->guest);
    if (guest == NULL) {
        return ma_err_set(err, -ENOENT, "no guest '%s'", command->guest);
    }
    guest->held_until_usec =
        command->duration_usec > 0 ? ma_add_sat(ma_now_usec(), command->duration_usec) : 0;
    d->is_state_dirty = true;
    struct ma_report report = {.message_id = MA_MESSAGE_ARM,
                               .kind = "hold",
                               .level = MA_LOG_NOTICE,
                               .uuid = guest->uuid,
                               .name = guest->name,
                               .result = command->duration_usec > 0 ? "held" : "lifted"};
    ma_report(d, &report, "Guest '%.64s' is %s by the operator.", guest->name,
              command->duration_usec > 0 ? "held" : "held no longer");
    return 0;
}

static int do_release(struct ma_daemon *d, const struct ma_command *command, struct ma_err *err) {
    if (command->guest[0] == '\0') {
        set_arm(d, MA_ARM_OBSERVE);
        tell_arm(d, "Release of all guests");
        ma_release_begin(d, false);
        return 0;
    }
    struct ma_tracked *guest = ma_guests_find(&d->guests, command->guest);
    if (guest == NULL) {
        return ma_err_set(err, -ENOENT, "no guest '%s'", command->guest);
    }
    return ma_release_guest(d, guest, err);
}

static int carry_out(struct ma_daemon *d, const struct ma_command *command, struct ma_err *err) {
    switch (command->kind) {
    case MA_COMMAND_ARM:
        set_arm(d, command->arm);
        ma_state_clear_breaker(&d->state);
        tell_arm(d, "Armed by the operator");
        return 0;
    case MA_COMMAND_DISARM:
        set_arm(d, MA_ARM_OBSERVE);
        tell_arm(d, "Disarmed by the operator");
        return 0;
    case MA_COMMAND_HOLD:
        return do_hold(d, command, err);
    case MA_COMMAND_RELEASE:
        return do_release(d, command, err);
    case MA_COMMAND_RELOAD:
        return ma_daemon_reload(d, err);
    case MA_COMMAND_FORGET:
        ma_admission_forget(d, command->guest);
        return 0;
    case MA_COMMAND_READMIT:
        return ma_admission_readmit(d, command->guest, err);
    }
    return ma_err_set(err, -EINVAL, "unknown command");
}

/* A host that has no snapshot yet cannot be judged by. */
static int answer_admission(struct ma_daemon *d,
                            const struct ma_admission_request *request,
                            struct ma_admission_answer *ret,
                            struct ma_err *err) {
    if (d->snapshot.taken_at_usec == 0) {
        return ma_err_set(err, -EAGAIN, "memarbd has taken no snapshot yet");
    }
    ma_admission_decide(d, request, ret);
    return 0;
}

/* What is asked, copied out of the slot; false: nothing (it was given up). */
static bool take_from_slot(struct ma_command_slot *slot, struct ma_command_slot *ret) {
    pthread_mutex_lock(&slot->lock);
    bool is_waiting = slot->is_waiting;
    ret->number = slot->number;
    ret->is_admission = slot->is_admission;
    ret->command = slot->command;
    ret->request = slot->request;
    pthread_mutex_unlock(&slot->lock);
    return is_waiting;
}

int ma_commands_on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    struct ma_command_slot *slot = &d->slot;
    struct ma_command_slot asked = {.number = 0};
    uint64_t n;
    (void) source;
    (void) revents;
    (void) !read(fd, &n, sizeof(n));
    if (!take_from_slot(slot, &asked)) {
        return 0;
    }
    int result = asked.is_admission ? answer_admission(d, &asked.request, &asked.answer, &asked.err)
                                    : carry_out(d, &asked.command, &asked.err);
    /* the answer is given after the next cycle has published what came of it */
    ma_cycle_run(d, MA_WAKE_TICK);
    pthread_mutex_lock(&slot->lock);
    if (slot->is_waiting && slot->number == asked.number) {
        slot->result = result;
        slot->err = asked.err;
        slot->answer = asked.answer;
        slot->is_waiting = false;
        slot->is_done = true;
        pthread_cond_signal(&slot->answered);
    }
    pthread_mutex_unlock(&slot->lock);
    return 0;
}
