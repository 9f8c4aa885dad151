/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control.c - the control socket over a real socket: answers, permissions, and clients that mean harm. */
#include "control.h"

#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "control-fake.h"

static int try_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0) {
        (void) close(fd);
        return -errno;
    }
    return fd;
}
static int must_connect(const char *path) {
    int fd = try_connect(path);
    CHECK(fd >= 0);
    return fd;
}
static void send_text(int fd, const char *text) {
    size_t len = strlen(text) + 1;
    CHECK_I64(send(fd, text, len, MSG_NOSIGNAL), (int64_t) len);
}

/* The next message; NULL at the end of the connection. */
static json_t *receive(int fd) {
    size_t len = 0, size = 1U << 22;
    char *buf = malloc(size);
    json_error_t problem;
    CHECK(buf != NULL);
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        CHECK_I64(poll(&poll_fd, 1, 20000), 1);
        ssize_t n =
            recv(fd, buf + len, 1, 0); /* one at a time: the next message stays in the socket */
        if (n <= 0) {
            free(buf);
            return NULL;
        }
        if (buf[len] == '\0') {
            break;
        }
        len++;
        CHECK(len < size);
    }
    json_t *message = json_loadb(buf, len, 0, &problem);
    if (message == NULL) {
        TAP_FAIL("no JSON: %s in %.200s", problem.text, buf);
    }
    free(buf);
    return message;
}

static json_t *call(int fd, const char *text) {
    send_text(fd, text);
    return receive(fd);
}
static json_t *good(int fd, const char *text) {
    json_t *reply = call(fd, text);
    if (reply == NULL || json_object_get(reply, "error") != NULL) {
        TAP_FAIL("%s: %s", text, reply != NULL ? json_dumps(reply, 0) : "closed");
    }
    return reply;
}
static void must_fail(int fd, const char *text, const char *error) {
    json_t *reply = call(fd, text);
    CHECK_STR(json_string_value(json_object_get(reply, "error")), error);
    json_t *parameters = json_object_get(reply, "parameters");
    CHECK(json_string_length(json_object_get(parameters, "message")) > 10);
    json_decref(reply);
}
static const char *text_at(const json_t *reply, const char *object, const char *key) {
    return json_string_value(
        json_object_get(json_object_get(json_object_get(reply, "parameters"), object), key));
}

#define METHOD(name) "{\"method\":\"io.memarb.Arbiter." name "\"}"

static void reading_answers(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int fd = must_connect(fake.path);
    json_t *reply = good(fd, METHOD("GetStatus"));
    CHECK_STR(text_at(reply, "status", "pressure"), "hard");
    CHECK_STR(text_at(reply, "status", "arm"), "pause");
    json_decref(reply);
    reply = good(fd, METHOD("ListGuests"));
    CHECK_U64(json_array_size(json_object_get(json_object_get(reply, "parameters"), "guests")), 3);
    json_decref(reply);
    reply = good(fd, METHOD("GetPlan"));
    CHECK_STR(text_at(reply, "plan", "policy"), "balanced");
    json_decref(reply);
    reply = good(fd, METHOD("GetSnapshot"));
    CHECK(json_object_get(json_object_get(json_object_get(reply, "parameters"), "snapshot"),
                          "host") != NULL);
    json_decref(reply);
    /* by name, by the beginning of a uuid in capitals */
    reply =
        good(fd, "{\"method\":\"io.memarb.Arbiter.Explain\",\"parameters\":{\"guest\":\"web-1\"}}");
    CHECK_STR(text_at(reply, "guest", "uuid"), fake.names[1][0]);
    json_decref(reply);
    reply = good(
        fd, "{\"method\":\"io.memarb.Arbiter.Explain\",\"parameters\":{\"guest\":\"000000A0\"}}");
    CHECK_STR(text_at(reply, "guest", "name"), "db");
    CHECK_STR(text_at(reply, "candidate", "excluded_because"), "never");
    json_decref(reply);
    (void) close(fd);
    ma_control_destroy(control);
    CHECK_I64(access(fake.path, F_OK), -1);
    fake_fini(&fake);
}

static void the_service_describes_itself(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int fd = must_connect(fake.path);
    json_t *reply = good(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
    CHECK_STR(json_string_value(json_object_get(json_object_get(reply, "parameters"), "product")),
              "memarbd");
    json_decref(reply);
    reply = good(
        fd,
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":"
        "\"io.memarb.Arbiter\"}}");
    const char *text =
        json_string_value(json_object_get(json_object_get(reply, "parameters"), "description"));
    static const char *const methods[] = {"GetStatus",   "ListGuests", "Explain", "GetPlan",
                                          "GetSnapshot", "Subscribe",  "Arm",     "Disarm",
                                          "Hold",        "Release",    "Reload"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char line[64];
        (void) snprintf(line, sizeof(line), "\nmethod %s(", methods[i]);
        CHECK(strstr(text, line) != NULL);
        /* what is described exists */
        (void) snprintf(line, sizeof(line), "{\"method\":\"io.memarb.Arbiter.%s\"}", methods[i]);
        json_t *answer = call(fd, line);
        const char *error = json_string_value(json_object_get(answer, "error"));
        CHECK(error == NULL || strstr(error, "MethodNotFound") == NULL);
        json_decref(answer);
    }
    json_decref(reply);
    (void) close(fd);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void what_is_wrong_is_said(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int fd = must_connect(fake.path);
    must_fail(fd, "{\"method\":\"io.memarb.Arbiter.Nope\"}", "org.varlink.service.MethodNotFound");
    must_fail(fd, "{\"method\":\"io.memarb.Arbiter.GetStatus\",\"parameters\":{\"x\":1}}",
              "org.varlink.service.InvalidParameter");
    must_fail(fd,
              "{\"method\":\"io.memarb.Arbiter.Explain\",\"parameters\":{\"guest\":\"nobody\"}}",
              "io.memarb.Arbiter.NotFound");
    must_fail(fd, "{\"method\":\"io.memarb.Arbiter.Explain\",\"parameters\":{\"guest\":\"web\"}}",
              "io.memarb.Arbiter.Ambiguous");
    must_fail(fd, METHOD("Explain"), "org.varlink.service.InvalidParameter");
    must_fail(fd, METHOD("Subscribe"), "org.varlink.service.ExpectedMore");
    must_fail(fd, "{\"method\":\"io.memarb.Arbiter.Arm\",\"parameters\":{\"rung\":\"shoot\"}}",
              "org.varlink.service.InvalidParameter");
    must_fail(
        fd, "{\"method\":\"io.memarb.Arbiter.Hold\",\"parameters\":{\"guest\":\"db\",\"usec\":-1}}",
        "org.varlink.service.InvalidParameter");
    must_fail(fd,
              "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
              "\"interface\":\"x\"}}",
              "org.varlink.service.InterfaceNotFound");
    CHECK_U64(fake.n_commands, 0);
    fake.has_view = false;
    must_fail(fd, METHOD("GetStatus"), "io.memarb.Arbiter.NotReady");
    (void) close(fd);
    /* no JSON: told once, then closed */
    fd = must_connect(fake.path);
    must_fail(fd, "{\"method\":", "io.memarb.Arbiter.BadMessage");
    CHECK(receive(fd) == NULL);
    (void) close(fd);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void commands_reach_the_loop(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int fd = must_connect(fake.path);
    if (geteuid() != 0) {
        (void) close(fd);
        ma_control_destroy(control);
        fake_fini(&fake);
        return;
    }
    json_decref(
        good(fd, "{\"method\":\"io.memarb.Arbiter.Arm\",\"parameters\":{\"rung\":\"kill\"}}"));
    CHECK_U64(fake.last.kind, MA_COMMAND_ARM);
    CHECK_U64(fake.last.arm, MA_ARM_KILL);
    json_decref(good(fd, "{\"method\":\"io.memarb.Arbiter.Hold\",\"parameters\":{\"guest\":\"web-"
                         "2\",\"usec\":60000000}}"));
    CHECK_U64(fake.last.kind, MA_COMMAND_HOLD);
    CHECK_STR(fake.last.guest, fake.names[2][0]);
    CHECK_U64(fake.last.duration_usec, 60000000);
    json_decref(good(fd, METHOD("Release")));
    CHECK_U64(fake.last.kind, MA_COMMAND_RELEASE);
    CHECK_STR(fake.last.guest, "");
    json_decref(good(fd, METHOD("Disarm")));
    CHECK_U64(fake.last.kind, MA_COMMAND_DISARM);
    must_fail(fd, "{\"method\":\"io.memarb.Arbiter.Release\",\"parameters\":{\"guest\":\"web\"}}",
              "io.memarb.Arbiter.Ambiguous");
    CHECK_U64(fake.n_commands, 4);
    fake.answer = -EINVAL;
    must_fail(fd, METHOD("Reload"), "io.memarb.Arbiter.Refused");
    fake.answer = -ETIMEDOUT;
    must_fail(fd, METHOD("Reload"), "io.memarb.Arbiter.Failed");
    (void) close(fd);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void only_root_changes_anything(void) {
    struct fake fake;
    if (geteuid() != 0) {
        (void) printf("# SKIP takes root\n");
        return;
    }
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    struct stat st;
    CHECK_I64(stat(fake.path, &st), 0);
    CHECK_U64(st.st_mode & 07777, 0600); /* no Group=: root alone */
    CHECK_I64(chmod(fake.folder, 0755), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
        CHECK_I64(try_connect(fake.path), -EACCES);
        exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_I64(WEXITSTATUS(status), 0);
    /* As for a member of the group: let in by mode, refused by credentials. */
    CHECK_I64(chmod(fake.path, 0666), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
        int fd = must_connect(fake.path);
        json_decref(good(fd, METHOD("GetStatus")));
        must_fail(fd, METHOD("Disarm"), "io.memarb.Arbiter.NotAllowed");
        must_fail(fd, METHOD("Reload"), "io.memarb.Arbiter.NotAllowed");
        must_fail(fd, METHOD("Release"), "io.memarb.Arbiter.NotAllowed");
        must_fail(fd, METHOD("Arm"), "io.memarb.Arbiter.NotAllowed");
        must_fail(fd, METHOD("Hold"), "io.memarb.Arbiter.NotAllowed");
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_I64(WEXITSTATUS(status), 0);
    CHECK_U64(fake.n_commands, 0);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static int subscribe(const char *path) {
    int fd = must_connect(path);
    json_t *reply = good(fd, "{\"method\":\"io.memarb.Arbiter.Subscribe\",\"more\":true}");
    CHECK_STR(text_at(reply, "event", "kind"), "subscribed");
    json_decref(reply);
    return fd;
}

static void events_reach_subscribers_and_the_past_is_kept(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int fd = subscribe(fake.path);
    static const char event[] = "{\"kind\":\"kill\",\"message\":\"x\"}";
    ma_control_event(control, event, sizeof(event) - 1);
    json_t *reply = receive(fd);
    CHECK_STR(text_at(reply, "event", "kind"), "kill");
    CHECK(json_is_true(json_object_get(reply, "continues")));
    CHECK_I64(json_integer_value(json_object_get(json_object_get(reply, "parameters"), "lost")), 0);
    json_decref(reply);
    int late = must_connect(fake.path);
    reply = good(
        late,
        "{\"method\":\"io.memarb.Arbiter.Subscribe\",\"parameters\":{\"last\":5},\"more\":true}");
    CHECK_STR(text_at(reply, "event", "kind"), "kill");
    json_decref(reply);
    reply = receive(late);
    CHECK_STR(text_at(reply, "event", "kind"), "subscribed");
    json_decref(reply);
    /* a call on a subscribed connection ends it */
    send_text(late, METHOD("GetStatus"));
    CHECK(receive(late) == NULL);
    (void) close(late);
    (void) close(fd);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void a_slow_subscriber_loses_events_and_is_told(void) {
    struct fake fake;
    static char event[4096];
    uint64_t got = 0, lost = 0;
    const uint64_t sent = 2000;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int slow = subscribe(fake.path);
    int probe = must_connect(fake.path);
    (void) memset(event, 'x', sizeof(event));
    (void) memcpy(event, "{\"kind\":\"a", 10);
    (void) memcpy(event + sizeof(event) - 3, "\"}", 3);
    for (uint64_t i = 0; i < sent; i++) {
        ma_control_event(control, event, sizeof(event) - 1);
        if (i % 50 == 0) { /* and everybody else is answered all the while */
            json_decref(good(probe, METHOD("GetStatus")));
        }
    }
    for (bool is_told = false; !is_told;) {
        json_t *reply = receive(slow);
        lost = (uint64_t) json_integer_value(
            json_object_get(json_object_get(reply, "parameters"), "lost"));
        got++;
        is_told = lost > 0;
        if (!is_told) {
            ma_control_event(control, "{\"kind\":\"b\"}", 12);
        }
        json_decref(reply);
    }
    CHECK(got < sent && lost > 0);
    /* too long for an event: lost as well, not cut */
    ma_control_event(control, event, MA_CONTROL_EVENT_MAX + 1);
    (void) close(slow);
    json_decref(good(probe, METHOD("GetStatus")));
    (void) close(probe);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void hostile_clients_harm_nobody(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int half = must_connect(fake.path), silent = must_connect(fake.path),
        deaf = must_connect(fake.path);
    int flood = must_connect(fake.path), probe = must_connect(fake.path);
    static char million[1U << 20];
    CHECK(send(half, "{\"method\":\"io", 13, MSG_NOSIGNAL) == 13);
    /* never reads: answers pile up in its own socket, then no more of its calls are read */
    for (int i = 0; i < 2000; i++) {
        static const char text[] = METHOD("GetPlan");
        if (send(deaf, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            break;
        }
    }
    (void) memset(million, 'x', sizeof(million));
    for (size_t at = 0; at < sizeof(million);) {
        ssize_t n = send(flood, million + at, sizeof(million) - at, MSG_NOSIGNAL);
        if (n < 0) {
            break; /* closed on us, as it should be */
        }
        at += (size_t) n;
    }
    CHECK(receive(flood) == NULL);
    json_decref(good(probe, METHOD("GetStatus")));
    /* one byte a call is no trick either */
    static const char text[] = METHOD("GetStatus");
    for (size_t i = 0; i < sizeof(text); i++) {
        CHECK(send(probe, text + i, 1, MSG_NOSIGNAL) == 1);
    }
    json_decref(receive(probe));
    /* two calls in one write are two answers */
    char two[2 * sizeof(text)];
    (void) memcpy(two, text, sizeof(text));
    (void) memcpy(two + sizeof(text), text, sizeof(text));
    CHECK(send(probe, two, sizeof(two), MSG_NOSIGNAL) == (ssize_t) sizeof(two));
    json_decref(receive(probe));
    json_decref(receive(probe));
    (void) close(half);
    (void) close(silent);
    (void) close(deaf);
    (void) close(flood);
    (void) close(probe);
    ma_control_destroy(control);
    fake_fini(&fake);
}

/* The one test that takes its time: the deadline of a stalled client is 10 s. */
static void stalled_clients_are_closed_others_stay(void) {
    struct fake fake;
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    int half = must_connect(fake.path), drip = must_connect(fake.path), slow = subscribe(fake.path);
    uint64_t begun = fake_now_usec();
    CHECK(send(half, "{", 1, MSG_NOSIGNAL) == 1);
    CHECK(send(drip, "{", 1, MSG_NOSIGNAL) == 1);
    struct pollfd poll_fd = {.fd = half, .events = POLLIN};
    while (poll(&poll_fd, 1, 500) == 0) {
        (void) send(drip, " ", 1,
                    MSG_NOSIGNAL); /* a byte now and then does not wind its clock up */
        CHECK(fake_now_usec() - begun < 20 * MA_USEC_PER_SEC);
    }
    CHECK(receive(half) == NULL);
    CHECK(receive(drip) == NULL);
    CHECK(fake_now_usec() - begun >= 9 * MA_USEC_PER_SEC);
    ma_control_event(control, "{\"kind\":\"b\"}", 12);
    json_t *reply = receive(slow);
    CHECK_STR(text_at(reply, "event", "kind"), "b");
    json_decref(reply);
    (void) close(half);
    (void) close(drip);
    (void) close(slow);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void a_full_house_turns_the_next_away_and_recovers(void) {
    struct fake fake;
    int fds[40];
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    for (size_t i = 0; i < 40; i++) {
        fds[i] = must_connect(fake.path);
    }
    /* The last is beyond every limit: it is closed, not left hanging. */
    CHECK(receive(fds[39]) == NULL);
    json_decref(good(fds[0], METHOD("GetStatus")));
    for (size_t i = 1; i < 40; i++) {
        (void) close(fds[i]);
    }
    json_decref(good(fds[0], METHOD("GetStatus")));
    int again = must_connect(fake.path);
    json_decref(good(again, METHOD("GetStatus")));
    (void) close(again);
    (void) close(fds[0]);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void large_answers_arrive_whole(void) {
    struct fake fake;
    fake_init(&fake, 2000);
    struct ma_control *control = fake_serve(&fake);
    int fd = must_connect(fake.path);
    json_t *reply = good(fd, METHOD("ListGuests"));
    CHECK_U64(json_array_size(json_object_get(json_object_get(reply, "parameters"), "guests")),
              2000);
    json_decref(reply);
    (void) close(fd);
    ma_control_destroy(control);
    fake_fini(&fake);
}

static void a_path_in_use_is_not_stolen_a_leftover_is(void) {
    struct fake fake;
    struct ma_control *other = NULL;
    struct ma_err err = {0};
    fake_init(&fake, 3);
    struct ma_control *control = fake_serve(&fake);
    struct ma_control_options options = {.socket_path = fake.path};
    struct ma_control_ops ops = {.userdata = &fake,
                                 .view_lock = fake_lock,
                                 .view_unlock = fake_unlock,
                                 .command = fake_command};
    CHECK_I64(ma_control_create(&options, &ops, &other, &err), -EADDRINUSE);
    options.group = "no-such-group-here";
    CHECK_I64(ma_control_create(&options, &ops, &other, &err), -ENOENT);
    CHECK(strstr(err.message, "systemd-sysusers") != NULL);
    json_decref(good(must_connect(fake.path), METHOD("GetStatus")));
    ma_control_destroy(control);
    /* what a killed memarbd leaves behind */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_I64(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    (void) close(fd);
    control = fake_serve(&fake);
    ma_control_destroy(control);
    /* no socket of ours: left alone */
    FILE *file = fopen(fake.path, "w");
    CHECK(file != NULL && fclose(file) == 0);
    options.group = NULL;
    CHECK_I64(ma_control_create(&options, &ops, &other, &err), -EEXIST);
    CHECK_I64(unlink(fake.path), 0);
    fake_fini(&fake);
}

TAP_MAIN(TAP_CASE(reading_answers),
         TAP_CASE(the_service_describes_itself),
         TAP_CASE(what_is_wrong_is_said),
         TAP_CASE(commands_reach_the_loop),
         TAP_CASE(only_root_changes_anything),
         TAP_CASE(events_reach_subscribers_and_the_past_is_kept),
         TAP_CASE(a_slow_subscriber_loses_events_and_is_told),
         TAP_CASE(hostile_clients_harm_nobody),
         TAP_CASE(stalled_clients_are_closed_others_stay),
         TAP_CASE(a_full_house_turns_the_next_away_and_recovers),
         TAP_CASE(large_answers_arrive_whole),
         TAP_CASE(a_path_in_use_is_not_stolen_a_leftover_is));
