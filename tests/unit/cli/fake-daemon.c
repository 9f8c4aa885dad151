/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-daemon.c [GUESTS] - the real control server over a fake view, steered by lines on standard input:
 * "event JSON", "answer p" (refuse) or "answer 0", "commands" (prints the last one), end of file ends it. Prints the socket's path. */
#include "control-fake.h"

static void steer(struct fake *fake, struct ma_control *control, char *line) {
    size_t len = strcspn(line, "\n");
    line[len] = '\0';
    if (strncmp(line, "event ", 6) == 0) {
        ma_control_event(control, line + 6, len - 6);
    } else if (strncmp(line, "answer ", 7) == 0) {
        (void) pthread_mutex_lock(&fake->lock);
        fake->answer = line[7] == 'p' ? -EPERM : 0;
        (void) pthread_mutex_unlock(&fake->lock);
    }
    (void) pthread_mutex_lock(&fake->lock);
    (void) printf("%u %d %d %s %" PRIu64 "\n", fake->n_commands, (int) fake->last.kind,
                  (int) fake->last.arm, fake->last.guest[0] != '\0' ? fake->last.guest : "-",
                  fake->last.duration_usec);
    (void) pthread_mutex_unlock(&fake->lock);
    (void) fflush(stdout);
}

int main(int argc, char **argv) {
    struct fake fake;
    static char line[4096];
    uint64_t n_guests = 3;
    if (argc > 1 && ma_parse_u64(argv[1], MA_GUESTS_MAX, &n_guests) != 0) {
        return 2;
    }
    fake_init(&fake, (size_t) n_guests);
    struct ma_control *control = fake_serve(&fake);
    (void) printf("%s\n", fake.path);
    (void) fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        steer(&fake, control, line);
    }
    ma_control_destroy(control);
    fake_fini(&fake);
    return 0;
}
