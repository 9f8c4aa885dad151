/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hooks.c - programs before and after actions, on real processes. Nothing here depends on how quick they are: they wait
 * for files that the test makes, or for the deadline that is meant to kill them. */
#include "hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "tap.h"

/* For what takes milliseconds, on a machine that does much else. */
#define PATIENCE_MS   120000
#define PATIENCE_USEC (UINT64_C(1000) * PATIENCE_MS)
#define PATH_BYTES    160

static char folder[] = "/tmp/memarb-hooks-XXXXXX";
static char hooks_d[64];
static struct ma_hooks *hooks;
static struct ma_hook_result last; /* that was popped */

static void path_in(const char *base, const char *name, char path[static PATH_BYTES]) {
    (void) snprintf(path, PATH_BYTES, "%s/%s", base, name);
}

static void add_hook(const char *name, const char *script) {
    char path[PATH_BYTES];
    path_in(hooks_d, name, path);
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    (void) fprintf(f, "#!/bin/sh\ncd %s\n%s\n", folder, script);
    CHECK(fclose(f) == 0 && chmod(path, 0755) == 0);
}

static void clear(const char *directory) {
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[PATH_BYTES + 256];
    if (stream == NULL) {
        return; /* at the end, after a failure: there may be none */
    }
    while ((entry = readdir(stream)) != NULL) {
        (void) snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void) unlink(path);
    }
    (void) closedir(stream);
}

static const char *said(const char *name) {
    static char text[1 << 16];
    char path[PATH_BYTES];
    path_in(folder, name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    CHECK(n >= 0 && (fd < 0 || close(fd) == 0));
    text[n] = '\0';
    return text;
}

static size_t n_lines(const char *text) {
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

static void touch(const char *name) {
    char path[PATH_BYTES];
    path_in(folder, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
}

static void wait_for_lines(const char *name, size_t n) {
    for (unsigned i = 0; i < PATIENCE_MS / 10 && n_lines(said(name)) < n; i++) {
        (void) usleep(10000);
    }
    CHECK_U64(n_lines(said(name)), n);
}

/* The descriptor may be readable for a result that was taken with the one before it. */
static void wait_for_result(void) {
    struct pollfd fd = {.fd = ma_hooks_fd(hooks), .events = POLLIN};
    do {
        CHECK_I64(poll(&fd, 1, PATIENCE_MS), 1);
    } while (!ma_hooks_pop(hooks, &last));
}

static struct ma_hook_order order_of(const char *uuid, uint64_t ask) {
    struct ma_hook_order order = {.ask = ask,
                                  .action = MA_ACTION_KILL,
                                  .reason = MA_REASON_LEAST_IMPACT,
                                  .pressure = MA_PRESSURE_CRITICAL,
                                  .available_bytes = 12345,
                                  .timeout_usec = PATIENCE_USEC};
    (void) snprintf(order.uuid, sizeof(order.uuid), "%s", uuid);
    (void) snprintf(order.name, sizeof(order.name), "web\n1");
    return order;
}

static void submit(const struct ma_hook_order *order) {
    CHECK_I64(ma_hooks_submit(hooks, order), 0);
}

/* Also where a check fails: what hangs would outlive the test. */
static void end(void) {
    ma_hooks_destroy(hooks);
    hooks = NULL;
    clear(hooks_d);
    (void) rmdir(hooks_d);
    clear(folder);
    (void) rmdir(folder);
}

static void begin(void) {
    struct ma_err err = {0};
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(hooks_d, sizeof(hooks_d), "%s/d", folder);
    CHECK(mkdir(hooks_d, 0755) == 0);
    CHECK(setenv("MEMARB_SECRET", "no hook's business", 1) == 0);
    CHECK_I64(ma_hooks_create(hooks_d, &hooks, &err), 0);
    CHECK(atexit(end) == 0);
}

static void they_run_in_order_with_what_is_known_and_nothing_else(void) {
    begin();
    add_hook("20-second", "echo second >>told");
    add_hook("10-first", "env | grep -v '^\\(PWD\\|_\\|SHLVL\\|OLDPWD\\)=' | sort >env\n"
                         "ls /proc/self/fd | tr '\\n' ' ' >fds\ncat >stdin\necho first >>told");
    int kept = open("/dev/null", O_RDONLY); /* without O_CLOEXEC: it must not reach them */
    CHECK(kept >= 0);
    struct ma_hook_order order = order_of("uuid-a", 7);
    order.has_from_to = true;
    order.from_bytes = 5;
    order.to_bytes = 3;
    submit(&order);
    wait_for_result();
    CHECK(close(kept) == 0);
    CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    CHECK_U64(last.ask, 7);
    CHECK_STR(said("told"), "first\nsecond\n");
    CHECK_STR(said("env"),
              "MEMARB_ACTION=kill\nMEMARB_AVAILABLE_BYTES=12345\nMEMARB_FROM_BYTES=5\n"
              "MEMARB_GUEST_NAME=web?1\nMEMARB_GUEST_UUID=uuid-a\nMEMARB_PHASE=before\n"
              "MEMARB_PRESSURE=critical\nMEMARB_REASON=least-impact\n"
              "MEMARB_TIMEOUT_USEC=120000000\nMEMARB_TO_BYTES=3\nMEMARB_VETO=yes\n"
              "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    CHECK_STR(said("fds"), "0 1 2 3 "); /* 3 is the folder that ls reads */
    CHECK_STR(said("stdin"), "");
    clear(hooks_d);
    clear(folder);
}

static void after_comes_after_before(void) {
    add_hook("note", "[ $MEMARB_PHASE = after ] || while [ ! -e go ]; do sleep 0.01; done\n"
                     "echo $MEMARB_PHASE $MEMARB_GUEST_UUID $MEMARB_RESULT >>told");
    struct ma_hook_order order = order_of("uuid-a", 0);
    submit(&order);
    order.is_after = true;
    order.result = MA_OUTCOME_REFUSED;
    submit(&order);
    /* Another guest's is not held up by it. */
    struct ma_hook_order other = order_of("uuid-b", 0);
    other.is_after = true;
    submit(&other);
    wait_for_lines("told", 1);
    CHECK_STR(said("told"), "after uuid-b done\n");
    touch("go");
    wait_for_lines("told", 3);
    CHECK_STR(said("told"), "after uuid-b done\nbefore uuid-a\nafter uuid-a refused\n");
    clear(hooks_d);
    clear(folder);
}

static void one_that_says_no_is_heard_where_somebody_waits(void) {
    add_hook("10-no", "exit 75");
    add_hook("20-never", "echo ran >>told");
    struct ma_hook_order order = order_of("uuid-a", 1);
    submit(&order);
    wait_for_result();
    CHECK(last.is_verdict && last.end == MA_HOOK_VETO);
    CHECK_STR(last.hook, "10-no");
    CHECK_STR(last.uuid, "uuid-a");
    CHECK_STR(said("told"), "");
    order.ask = 0; /* nobody waits: it is a failure like others, and the next one runs */
    submit(&order);
    wait_for_result();
    CHECK(!last.is_verdict && last.end == MA_HOOK_STATUS);
    CHECK_I64(last.value, 75);
    wait_for_lines("told", 1);
    clear(hooks_d);
    clear(folder);
}

static void a_no_behind_the_action_is_told_and_is_no_verdict(void) {
    add_hook("10-no", "echo $MEMARB_VETO >>told\nexit 75");
    add_hook("20-never", "echo ran >>told");
    struct ma_hook_order order = order_of("uuid-a", 0);
    order.action = MA_ACTION_BALLOON;
    order.is_heard = true;
    submit(&order);
    wait_for_result();
    CHECK(!last.is_verdict && last.end == MA_HOOK_VETO && last.ask == 0);
    CHECK(last.action == MA_ACTION_BALLOON && !last.is_after);
    CHECK_STR(last.hook, "10-no");
    CHECK_STR(last.uuid, "uuid-a");
    CHECK_STR(said("told"), "yes\n");
    clear(hooks_d);
    clear(folder);
}

static void whatever_else_goes_wrong_is_no_veto(void) {
    static const struct {
        const char *name, *script;
        enum ma_hook_end end;
        int value;
    } wrong[] = {
        {"10-status", "exit 1", MA_HOOK_STATUS, 1},
        {"20-crash", "kill -SEGV $$", MA_HOOK_SIGNAL, SIGSEGV},
        {"30-missing-command", "no-such-command-anywhere", MA_HOOK_STATUS, 127},
    };
    for (size_t i = 0; i < 3; i++) {
        add_hook(wrong[i].name, wrong[i].script);
    }
    char path[PATH_BYTES];
    path_in(hooks_d, "40-no-interpreter", path);
    FILE *f = fopen(path, "we");
    CHECK(f != NULL && fputs("#!/no/such/interpreter\n", f) >= 0 && fclose(f) == 0);
    CHECK(chmod(path, 0755) == 0);
    struct ma_hook_order order = order_of("uuid-a", 2);
    submit(&order);
    for (size_t i = 0; i < 3; i++) {
        wait_for_result();
        CHECK(!last.is_verdict && last.end == wrong[i].end);
        CHECK_I64(last.value, wrong[i].value);
        CHECK_STR(last.hook, wrong[i].name);
    }
    wait_for_result();
    CHECK(!last.is_verdict && last.end == MA_HOOK_NOT_STARTED);
    CHECK_I64(last.value, -ENOENT);
    wait_for_result();
    CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    clear(hooks_d);
    clear(folder);
}

/* Gone, or dead and not looked at by its new parent yet. */
static bool is_dead(pid_t pid) {
    char path[64];
    char text[512] = "";
    (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    bool is_there = f != NULL && fgets(text, sizeof(text), f) != NULL;
    if (f != NULL) {
        (void) fclose(f);
    }
    return !is_there || strstr(text, ") Z") != NULL;
}

static void wait_until_dead(const char *name) {
    uint64_t pid = 0;
    char text[32];
    (void) snprintf(text, sizeof(text), "%.31s", said(name));
    text[strcspn(text, "\n")] = '\0';
    CHECK_I64(ma_parse_u64(text, 1U << 30, &pid), 0);
    for (unsigned i = 0; i < PATIENCE_MS / 10 && !is_dead((pid_t) pid); i++) {
        (void) usleep(10000);
    }
    CHECK(is_dead((pid_t) pid));
}

static void one_that_hangs_is_killed_with_what_it_started_and_is_no_veto(void) {
    add_hook("10-hangs", "trap '' TERM INT HUP\nsh -c 'echo $$ >child; exec sleep 1000' &\n"
                         "echo $$ >hangs; wait");
    add_hook("20-behind", "echo ran >>told");
    struct ma_hook_order order = order_of("uuid-a", 3);
    order.timeout_usec = 3 * MA_USEC_PER_SEC;
    submit(&order);
    wait_for_result();
    CHECK(!last.is_verdict && last.end == MA_HOOK_TIMEOUT);
    CHECK_STR(last.hook, "10-hangs");
    wait_for_result();
    CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    wait_until_dead("hangs");
    wait_until_dead("child");
    CHECK_STR(said("told"), ""); /* what stands behind it is left out */
    clear(hooks_d);
    clear(folder);
}

static void hooks_that_hang_hold_up_no_question(void) {
    add_hook("hangs-unless-asked", "[ $MEMARB_VETO = yes ] && exit\n"
                                   "while [ ! -e go ]; do sleep 0.01; done; echo x >>ended");
    char uuid[16];
    for (unsigned i = 0; i < MA_HOOK_RUNS_TOLD; i++) {
        (void) snprintf(uuid, sizeof(uuid), "told-%u", i);
        struct ma_hook_order order = order_of(uuid, 0);
        submit(&order);
    }
    for (unsigned i = 0; i < MA_HOOK_RUNS_ASKED; i++) {
        struct ma_hook_order order = order_of("told-0", 100 + i);
        submit(&order);
    }
    for (unsigned i = 0; i < MA_HOOK_RUNS_ASKED; i++) {
        wait_for_result();
        CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    }
    CHECK_STR(said("ended"), "");
    touch("go");
    wait_for_lines("ended", MA_HOOK_RUNS_TOLD);
    clear(hooks_d);
    clear(folder);
}

static void two_hundred_programs_and_two_hundred_orders_are_bounded(void) {
    char name[32];
    for (unsigned i = 0; i < 200; i++) {
        (void) snprintf(name, sizeof(name), "%03u", i);
        add_hook(name, "echo ${0##*/} >>told");
    }
    struct ma_hook_order order = order_of("uuid-a", 9);
    submit(&order);
    wait_for_result();
    CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    CHECK_U64(n_lines(said("told")), 200);
    CHECK(strncmp(said("told"), "000\n001\n", 8) == 0);
    clear(hooks_d);
    clear(folder);
    /* Each notes itself while it runs and looks how many do. */
    add_hook("count",
             "touch run-$$; ls run-* 2>/dev/null | wc -l >>told; while [ ! -e go ]; do sleep 0.01; "
             "done; rm run-$$; echo x >>ended");
    size_t n_taken = 0;
    for (unsigned i = 0; i < MA_HOOK_QUEUE + 40; i++) {
        (void) snprintf(name, sizeof(name), "guest-%u", i);
        struct ma_hook_order one = order_of(name, 0);
        int r = ma_hooks_submit(hooks, &one);
        CHECK(r == 0 || r == -EBUSY);
        n_taken += r == 0;
    }
    CHECK(n_taken >= MA_HOOK_QUEUE - MA_HOOK_RUNS_ASKED && n_taken <= MA_HOOK_QUEUE);
    CHECK_U64(ma_hooks_lost(hooks), MA_HOOK_QUEUE + 40 - n_taken);
    wait_for_lines("told", MA_HOOK_RUNS_TOLD);
    CHECK(strstr(said("told"), "5") == NULL);
    touch("go");
    wait_for_lines("ended", n_taken);
    clear(hooks_d);
    clear(folder);
}

static char barred[1024];
static void on_barred(void *userdata, const char *name, const char *why) {
    (void) userdata;
    size_t at = strlen(barred);
    (void) snprintf(barred + at, sizeof(barred) - at, "%s %s\n", name, why);
}

static void only_what_is_roots_alone_is_run(void) {
    struct ma_hook_files files;
    struct ma_err err = {0};
    char path[PATH_BYTES];
    char target[PATH_BYTES];
    static const char *const silent[] = {".hidden", "hook~", "hook.dpkg-old", "hook.rpmsave"};
    for (size_t i = 0; i < 4; i++) {
        add_hook(silent[i], "");
    }
    add_hook("good", "");
    add_hook("group", "");
    path_in(hooks_d, "group", path);
    CHECK(chmod(path, 0775) == 0);
    add_hook("plain", "");
    path_in(hooks_d, "plain", path);
    CHECK(chmod(path, 0644) == 0);
    path_in(hooks_d, "link", path);
    path_in(hooks_d, "good", target);
    CHECK(symlink(target, path) == 0);
    CHECK_I64(ma_hook_files_list(hooks_d, &files, on_barred, NULL, &err), 0);
    CHECK_U64(files.n, 1);
    CHECK_STR(files.names[0], "good");
    ma_hook_files_free(&files);
    CHECK(strstr(barred, "group is writable") != NULL);
    CHECK(strstr(barred, "plain is not executable") != NULL);
    CHECK(strstr(barred, "link is no plain file") != NULL);
    CHECK_U64(n_lines(barred), 3);
    if (geteuid() == 0) {
        barred[0] = '\0';
        CHECK(chown(target, 12345, 0) == 0);
        CHECK_I64(ma_hook_files_list(hooks_d, &files, on_barred, NULL, &err), 0);
        CHECK_U64(files.n, 0);
        ma_hook_files_free(&files);
        CHECK(strstr(barred, "good is not owned by root") != NULL);
    }
    CHECK(chmod(hooks_d, 0777) == 0);
    CHECK_I64(ma_hook_files_list(hooks_d, &files, NULL, NULL, &err), -EPERM);
    CHECK(chmod(hooks_d, 0755) == 0 && chmod(folder, 0777) == 0);
    CHECK_I64(ma_hook_files_list(hooks_d, &files, NULL, NULL, &err), -EPERM);
    CHECK(chmod(folder, 0700) == 0);
    clear(hooks_d);
}

static void a_folder_that_is_gone_stops_nothing(void) {
    CHECK(rmdir(hooks_d) == 0);
    struct ma_hook_order order = order_of("uuid-a", 11);
    submit(&order);
    wait_for_result();
    CHECK(!last.is_verdict && last.end == MA_HOOK_NO_FOLDER);
    CHECK_I64(last.value, -ENOENT);
    wait_for_result();
    CHECK(last.is_verdict && last.end == MA_HOOK_AGREED);
    CHECK(mkdir(hooks_d, 0755) == 0);
}

static void an_end_kills_what_hangs(void) {
    add_hook("hangs", "echo $$ >hangs; exec sleep 1000");
    struct ma_hook_order order = order_of("uuid-a", 0);
    submit(&order);
    wait_for_lines("hangs", 1);
    ma_hooks_destroy(hooks);
    hooks = NULL;
    ma_hooks_destroy(NULL);
    wait_until_dead("hangs");
}

TAP_MAIN(TAP_CASE(they_run_in_order_with_what_is_known_and_nothing_else),
         TAP_CASE(after_comes_after_before),
         TAP_CASE(one_that_says_no_is_heard_where_somebody_waits),
         TAP_CASE(a_no_behind_the_action_is_told_and_is_no_verdict),
         TAP_CASE(whatever_else_goes_wrong_is_no_veto),
         TAP_CASE(one_that_hangs_is_killed_with_what_it_started_and_is_no_veto),
         TAP_CASE(hooks_that_hang_hold_up_no_question),
         TAP_CASE(two_hundred_programs_and_two_hundred_orders_are_bounded),
         TAP_CASE(only_what_is_roots_alone_is_run),
         TAP_CASE(a_folder_that_is_gone_stops_nothing),
         TAP_CASE(an_end_kills_what_hangs));
