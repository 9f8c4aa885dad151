/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "atomic-file.h"
#include "bytes.h"
#include "cleanup.h"
#include "log.h"

/* Record lines that wait for the disk. Too small: a slow disk loses lines of the incident that matters; too large:
 * locked memory. A cycle of 100 guests is about 100 KiB. */
#define QUEUE_MAX_BYTES (8 * MA_MIB)
#define STACK_BYTES     ((size_t) 128 * 1024)
/* Read at once when looking for the end of the last whole line. */
#define TAIL_BYTES ((size_t) 4096)

struct line {
    struct line *next;
    bool is_journal; /* fields for the journal, not a line of the record */
    char *text;
    size_t len;
};

struct ma_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* all below; never held across I/O */
    pthread_cond_t wake;
    pthread_cond_t idle;
    bool should_end;
    bool is_busy;
    char *state;
    size_t state_len;
    struct line *first, **last;
    uint64_t queued_bytes;
    _Atomic uint64_t dropped;
    _Atomic bool has_state_failed;
    /* thread's own */
    char *state_path, *record_path, *header;
    uint64_t record_max_bytes;
    int record_fd;
    uint64_t record_bytes; /* whole lines */
    bool is_record_failing;
};

/* Where the last whole line ends: what a crash or a full disk left behind it is no line. */
static off_t end_of_lines(int fd, off_t size) {
    char block[TAIL_BYTES];
    while (size > 0) {
        size_t len = (size_t) size < sizeof(block) ? (size_t) size : sizeof(block);
        ssize_t n = pread(fd, block, len, size - (off_t) len);
        if (n != (ssize_t) len) {
            return size;
        }
        const char *newline = memrchr(block, '\n', len);
        if (newline != NULL) {
            return size - (off_t) len + (newline - block) + 1;
        }
        size -= (off_t) len;
    }
    return 0;
}

/* A line stands in the file whole or not at all: half of one would make the next one unreadable too. */
static int append_line(struct ma_writer *w, const char *text, size_t len) {
    int r = ma_write_all(w->record_fd, text, len);
    r = r < 0 ? r : ma_write_all(w->record_fd, "\n", 1);
    if (r == 0) {
        w->record_bytes += len + 1;
    } else if (ftruncate(w->record_fd, (off_t) w->record_bytes) < 0) {
        ma_log(MA_LOG_WARNING, "%s ends in half a line: %s", w->record_path, strerror(errno));
    }
    return r;
}

static void open_record(struct ma_writer *w) {
    w->record_fd = open(w->record_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat st;
    if (w->record_fd < 0 || fstat(w->record_fd, &st) < 0) {
        ma_log(MA_LOG_WARNING, "no record is kept: cannot open %s: %s", w->record_path,
               strerror(errno));
        return;
    }
    off_t end = end_of_lines(w->record_fd, st.st_size);
    w->record_bytes = (uint64_t) end;
    if (end != st.st_size && ftruncate(w->record_fd, end) < 0) {
        ma_log(MA_LOG_WARNING, "%s ends in half a line: %s", w->record_path, strerror(errno));
    }
    /* a new life starts with a header, also in the middle of a file: replay begins anew there */
    (void) append_line(w, w->header, strlen(w->header));
}

static void rotate(struct ma_writer *w) {
    char old[MA_PATH_MAX];
    int n = snprintf(old, sizeof(old), "%s.1", w->record_path);
    (void) close(w->record_fd);
    w->record_fd = -1;
    if (n < 0 || (size_t) n >= sizeof(old) || rename(w->record_path, old) < 0) {
        ma_log(MA_LOG_WARNING, "cannot rotate %s: %s", w->record_path, strerror(errno));
        (void) unlink(w->record_path); /* bounded before complete */
    }
    open_record(w);
}

static void write_line(struct ma_writer *w, const struct line *line) {
    if (w->record_fd < 0) {
        return;
    }
    if (w->record_bytes + line->len > w->record_max_bytes &&
        w->record_bytes > strlen(w->header) + 1) {
        rotate(w);
    }
    int r = w->record_fd >= 0 ? append_line(w, line->text, line->len) : -EBADF;
    if (r < 0) {
        atomic_fetch_add(&w->dropped, 1);
    }
    if (r < 0 && !w->is_record_failing) {
        ma_log(MA_LOG_ERR, "decisions are not recorded: cannot write %s: %s", w->record_path,
               strerror(-r));
    } else if (r == 0 && w->is_record_failing) {
        ma_log(MA_LOG_NOTICE, "decisions are recorded again");
    }
    w->is_record_failing = r < 0;
}

static void write_state(struct ma_writer *w, char *text, size_t len) {
    struct ma_err err = {0};
    bool has_failed = ma_atomic_file_write(w->state_path, text, len, &err) < 0;
    if (has_failed && !atomic_load(&w->has_state_failed)) {
        ma_log(MA_LOG_ERR, "%s", err.message); /* once, not with each try */
    }
    atomic_store(&w->has_state_failed, has_failed);
    free(text);
}

#define JOURNAL_FIELDS_MAX 24
#define JOURNAL_SOCKET     "/run/systemd/journal/socket"

/* Under systemd the journal's socket is there; elsewhere a person reads stderr. */
static void write_journal(const struct line *line) {
    struct iovec fields[JOURNAL_FIELDS_MAX];
    int n = 0;
    for (size_t at = 0; at < line->len && n < JOURNAL_FIELDS_MAX;) {
        size_t len = strnlen(line->text + at, line->len - at);
        fields[n++] = (struct iovec){line->text + at, len};
        at += len + 1;
    }
    if (access(JOURNAL_SOCKET, W_OK) == 0) {
        (void) sd_journal_sendv(fields, n); /* a journal that is down: nobody to tell */
    } else if (n > 0) {
        (void) fprintf(stderr, "%s\n", line->text + strlen("MESSAGE="));
    }
}

static void free_line(struct line *line) {
    free(line->text);
    free(line);
}

static void *run(void *userdata) {
    struct ma_writer *w = userdata;
    pthread_mutex_lock(&w->lock);
    while (true) {
        while (w->state == NULL && w->first == NULL && !w->should_end) {
            w->is_busy = false;
            pthread_cond_broadcast(&w->idle);
            pthread_cond_wait(&w->wake, &w->lock);
        }
        if (w->state == NULL && w->first == NULL) {
            break;
        }
        w->is_busy = true;
        char *state = ma_steal(&w->state);
        size_t state_len = w->state_len;
        struct line *line = w->first;
        if (line != NULL) {
            w->first = line->next;
            w->last = w->first == NULL ? &w->first : w->last;
            w->queued_bytes -= line->len;
        }
        pthread_mutex_unlock(&w->lock);
        if (state != NULL) {
            write_state(w, state, state_len);
        }
        if (line != NULL) {
            if (line->is_journal) {
                write_journal(line);
            } else {
                write_line(w, line);
            }
            free_line(line);
        }
        pthread_mutex_lock(&w->lock);
    }
    w->is_busy = false;
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void free_writer(struct ma_writer *w) {
    if (w->record_fd >= 0) {
        (void) close(w->record_fd);
    }
    free(w->state_path);
    free(w->record_path);
    free(w->header);
    free(w);
}

int ma_writer_create(const struct ma_writer_options *options,
                     struct ma_writer **ret,
                     struct ma_err *err) {
    struct ma_writer *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    w->last = &w->first;
    w->record_fd = -1;
    w->record_max_bytes = options->record_max_bytes;
    w->state_path = strdup(options->state_path);
    w->record_path = strdup(options->record_path);
    w->header = strdup(options->record_header);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (w->state_path == NULL || w->record_path == NULL || w->header == NULL) {
        free_writer(w);
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    if (w->record_path[0] != '\0') {
        open_record(w);
    }
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = pthread_create(&w->thread, &attr, run, w);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        free_writer(w);
        return ma_err_set(err, -r, "cannot start the writer's thread: %s", strerror(r));
    }
    *ret = w;
    return 0;
}

void ma_writer_destroy(struct ma_writer *w) {
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->should_end = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    free_writer(w);
}

void ma_writer_state(struct ma_writer *w, char *text, size_t len) {
    pthread_mutex_lock(&w->lock);
    char *old = w->state;
    w->state = text;
    w->state_len = len;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    free(old);
}

static bool enqueue(struct ma_writer *w, char *text, size_t len, bool is_journal) {
    struct line *line = malloc(sizeof(*line));
    bool is_taken = false;
    if (line != NULL) {
        *line = (struct line){.is_journal = is_journal, .text = text, .len = len};
        pthread_mutex_lock(&w->lock);
        if (w->queued_bytes + len <= QUEUE_MAX_BYTES) {
            *w->last = line;
            w->last = &line->next;
            w->queued_bytes += len;
            is_taken = true;
            pthread_cond_signal(&w->wake);
        }
        pthread_mutex_unlock(&w->lock);
    }
    if (!is_taken) {
        atomic_fetch_add(&w->dropped, 1);
        free(text);
        free(line);
    }
    return is_taken;
}

bool ma_writer_record(struct ma_writer *w, char *text, size_t len) {
    return enqueue(w, text, len, false);
}

void ma_writer_journal(struct ma_writer *w, char *fields, size_t len) {
    (void) enqueue(w, fields, len, true); /* dropped ones are counted */
}

bool ma_writer_has_state_failed(const struct ma_writer *w) {
    return atomic_load(&w->has_state_failed);
}

uint64_t ma_writer_dropped(const struct ma_writer *w) {
    return atomic_load(&w->dropped);
}

bool ma_writer_flush(struct ma_writer *w, uint64_t timeout_usec) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nsec = (uint64_t) until.tv_nsec + timeout_usec % MA_USEC_PER_SEC * 1000;
    until.tv_sec += (time_t) (timeout_usec / MA_USEC_PER_SEC + nsec / UINT64_C(1000000000));
    until.tv_nsec = (long) (nsec % UINT64_C(1000000000));
    pthread_mutex_lock(&w->lock);
    int r = 0;
    while ((w->is_busy || w->state != NULL || w->first != NULL) && r == 0) {
        r = pthread_cond_timedwait(&w->idle, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return r == 0;
}
