/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* publish.h - the last cycle for readers on other threads: one immutable copy behind an RCU pointer.
 *
 * The loop publishes and never waits for a reader: the old view is freed by call_rcu after the last reader has left.
 * Readers register their thread once, then view = ma_publish_lock(); ...; ma_publish_unlock(), and neither block nor
 * allocate in between. */

#include "view.h"

struct ma_publisher;

/* Starts the call_rcu helper thread. NULL on ENOMEM. Loop thread. */
struct ma_publisher *ma_publisher_create(void);
/* Waits for readers that still are in a read section (they never stay). */
void ma_publisher_destroy(struct ma_publisher *publisher);

/* Deep-copies *view (its snapshot, plan and guests) into a new block and makes it the current one. -ENOMEM: the old
 * one stays current. Loop thread. */
int ma_publish(struct ma_publisher *publisher, const struct ma_view *view);

void ma_publish_thread_start(struct ma_publisher *publisher);
void ma_publish_thread_stop(struct ma_publisher *publisher);
/* Any registered thread. NULL: nothing is published yet. */
const struct ma_view *ma_publish_lock(struct ma_publisher *publisher);
void ma_publish_unlock(struct ma_publisher *publisher);
