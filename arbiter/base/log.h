/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* log.h - one line a failure, through a sink that the program sets (journal in the daemon, stderr in tools).
 * Libraries below the daemon log at debug only and return their errors. Thread-safe once the sink is set. */

enum ma_log_level { /* syslog's numbers */
                    MA_LOG_ERR = 3,
                    MA_LOG_WARNING = 4,
                    MA_LOG_NOTICE = 5,
                    MA_LOG_INFO = 6,
                    MA_LOG_DEBUG = 7,
};

/* "err", "warning", "notice", "info", "debug": journalctl's names. */
const char *ma_log_level_name(enum ma_log_level level);

typedef void (*ma_log_sink_fn)(enum ma_log_level level, const char *message);

/* Before any thread is started. NULL: stderr with a systemd "<N>" prefix. */
void ma_log_set_sink(ma_log_sink_fn sink);
void ma_log_set_max_level(enum ma_log_level level);
/* Cut at 1023 bytes. Allocates nothing. */
void ma_log(enum ma_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
