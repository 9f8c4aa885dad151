/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "psi.h"
#include "tap.h"
#include "tree.h"

static void figures_are_exact(void) {
    struct ma_psi p;
    CHECK_I64(ma_psi_parse("some avg10=12.34 avg60=0.05 avg300=0.00 total=123456789\n"
                           "full avg10=100.00 avg60=99.99 avg300=0.00 total=0\n",
                           &p),
              0);
    CHECK_U64(p.has, 0x3f);
    CHECK_U64(p.some_avg10_permyriad, 1234);
    CHECK_U64(p.some_avg60_permyriad, 5);
    CHECK_U64(p.full_avg10_permyriad, 10000);
    CHECK_U64(p.full_avg60_permyriad, 9999);
    CHECK_U64(p.some_total_usec, 123456789);
}

static void parts_that_are_missing_or_garbage_have_no_bit(void) {
    static const struct {
        const char *text;
        uint32_t has;
    } rows[] = {
        {"some avg10=1.00", MA_PSI_HAS_SOME_AVG10},
        {"some avg10=1.0 avg60=2.00", MA_PSI_HAS_SOME_AVG60},
        {"some avg10=1.00 avg60=2.0", MA_PSI_HAS_SOME_AVG10},
        {"full avg10=100.01 avg60=1.00 total=x", MA_PSI_HAS_FULL_AVG60},
        {"some total=18446744073709551616 avg10=0.00", MA_PSI_HAS_SOME_AVG10},
        {"some total=18446744073709551615", MA_PSI_HAS_SOME_TOTAL},
        {"some avg300=1.00\nfull avg10=3.00\n", MA_PSI_HAS_FULL_AVG10},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_psi p;
        CHECK_I64(ma_psi_parse(rows[i].text, &p), 0);
        CHECK_U64(p.has, rows[i].has);
    }
    static const char *const useless[] = {
        "", "\n", "some", "some ", "other avg10=1.00", "some avg10=-1.00", "some avg10=1,00"};
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        struct ma_psi p = {.has = 99};
        CHECK_I64(ma_psi_parse(useless[i], &p), -EINVAL);
        CHECK_U64(p.has, 99);
    }
}

static bool may_have_any_window(void) {
    uint64_t capabilities = 0;
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        (void) sscanf(line, "CapEff: %" SCNx64, &capabilities);
    }
    (void) fclose(f);
    return (capabilities & (UINT64_C(1) << 24)) != 0; /* CAP_SYS_RESOURCE */
}

static void live_trigger_says_which_window_it_got(void) {
    struct ma_err err;
    struct ma_psi_trigger t;
    struct ma_psi_trigger_spec spec = {
        .kind = MA_PSI_SOME, .stall_usec = 100000, .window_usec = 1000000};
    int r = ma_psi_trigger_open(&t, AT_FDCWD, "/proc/pressure/memory", &spec, &err);
    if (r == -EOPNOTSUPP) {
        CHECK(strstr(err.message, "psi=1") != NULL);
        return;
    }
    if (r == -EACCES) {
        return; /* an unprivileged user on a kernel that lets only root write there */
    }
    CHECK_I64(r, 0);
    CHECK(t.fd >= 0);
    CHECK_U64(t.stall_usec, 100000);
    CHECK_U64(t.window_usec, may_have_any_window() ? 1000000 : MA_PSI_UNPRIVILEGED_WINDOW_USEC);
    CHECK(t.is_fallback == !may_have_any_window());
    struct pollfd fd = {.fd = t.fd, .events = POLLPRI};
    CHECK(poll(&fd, 1, 0) >= 0 && (fd.revents & (POLLERR | POLLNVAL)) == 0);
    ma_psi_trigger_close(&t);
    CHECK_I64(t.fd, -1);
    spec.window_usec = 4000000;
    CHECK_I64(ma_psi_trigger_open(&t, AT_FDCWD, "/proc/pressure/memory", &spec, &err), 0);
    CHECK(!t.is_fallback);
    ma_psi_trigger_close(&t);
}

static void refused_triggers_are_explained(void) {
    struct ma_err err;
    struct ma_psi_trigger t;
    static const struct ma_psi_trigger_spec bad[] = {{MA_PSI_SOME, 0, 2000000},
                                                     {MA_PSI_SOME, 2000001, 2000000},
                                                     {MA_PSI_SOME, 1, 499999},
                                                     {MA_PSI_SOME, 1, 10000001},
                                                     {MA_PSI_FULL, 1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_I64(ma_psi_trigger_open(&t, AT_FDCWD, "/proc/pressure/memory", &bad[i], &err),
                  -ERANGE);
        CHECK_I64(t.fd, -1);
    }
    struct ma_psi_trigger_spec good = {MA_PSI_FULL, 50000, 2000000};
    CHECK_I64(ma_psi_trigger_open(&t, AT_FDCWD, "/nowhere/pressure/memory", &good, &err),
              -EOPNOTSUPP);
    CHECK(strstr(err.message, "/nowhere/pressure/memory") != NULL &&
          strstr(err.message, "psi=1") != NULL);
}

static void spec_is_written_as_the_kernel_wants_it(void) {
    struct tree tr;
    struct ma_err err;
    struct ma_psi_trigger t;
    char path[256];
    char text[64] = "";
    tree_make(&tr);
    tree_write(&tr, "memory.pressure", "");
    int dir = open(tr.root, O_RDONLY | O_DIRECTORY);
    struct ma_psi_trigger_spec spec = {MA_PSI_FULL, 50000, 500000};
    CHECK_I64(ma_psi_trigger_open(&t, dir, "memory.pressure", &spec, &err), 0);
    FILE *f = fopen(tree_path(&tr, "memory.pressure", path), "r");
    CHECK(f != NULL && fread(text, 1, sizeof(text) - 1, f) == 18);
    CHECK_STR(text, "full 50000 500000");
    (void) fclose(f);
    (void) close(dir);
    ma_psi_trigger_close(&t);
    tree_remove(&tr);
}

TAP_MAIN(TAP_CASE(figures_are_exact),
         TAP_CASE(parts_that_are_missing_or_garbage_have_no_bit),
         TAP_CASE(live_trigger_says_which_window_it_got),
         TAP_CASE(refused_triggers_are_explained),
         TAP_CASE(spec_is_written_as_the_kernel_wants_it));
