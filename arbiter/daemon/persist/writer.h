/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* writer.h - files are written on a thread of their own: a disk, or tmpfs on a host that is short, may take seconds,
 * and the loop waits for nobody. What must survive a crash in between is in the intent log already. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Folders and files of the daemon's own: longer ones are refused at start. */
#define MA_PATH_MAX 1024

struct ma_writer;

struct ma_writer_options {
    const char *state_path;    /* latest wins */
    const char *record_path;   /* lines are appended; "": none */
    uint64_t record_max_bytes; /* of the file before it becomes PATH.1 (one old file is kept) */
    const char *record_header; /* first line of each file, without newline; copied */
};
int ma_writer_create(const struct ma_writer_options *options,
                     struct ma_writer **ret,
                     struct ma_err *err);
/* Writes what waits, ends the thread. */
void ma_writer_destroy(struct ma_writer *writer);

/* Takes text (heap, freed by the writer) as the newest state. Never waits. */
void ma_writer_state(struct ma_writer *writer, char *text, size_t len);
/* The newest state that was tried could not be written (a full /run): hand it over again in a while. Any thread. */
bool ma_writer_has_state_failed(const struct ma_writer *writer);
/* Takes one line without newline. False: dropped, the queue is full. Never waits. A line that the disk does not take is
 * dropped whole. Both are counted. */
bool ma_writer_record(struct ma_writer *writer, char *text, size_t len);
/* Takes a journal entry: fields "NAME=value", each with its NUL (heap, freed by the writer). Where no journal listens, MESSAGE=
 * goes to stderr. Never waits. Any thread. */
void ma_writer_journal(struct ma_writer *writer, char *fields, size_t len);
uint64_t ma_writer_dropped(const struct ma_writer *writer);
/* Waits until all handed over so far is on disk, at most timeout. For the end of the daemon and of `release`. */
bool ma_writer_flush(struct ma_writer *writer, uint64_t timeout_usec);
