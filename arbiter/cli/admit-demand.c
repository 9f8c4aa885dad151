/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admit-demand.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"

#define READ_STEP_BYTES ((size_t) 64 * 1024)

/* Readable, ended or broken within the time; a regular file always is. */
static int wait_readable(int fd, uint64_t deadline_usec) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t left = ma_sub_floor0(deadline_usec, ma_cli_now_usec());
    int r = poll(&poll_fd, 1, (int) ma_min_u64(left / MA_USEC_PER_MSEC, 60000));
    if (r < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    return r == 0 ? -ETIME : 1;
}

int ma_admit_read_input(
    int fd, size_t max_bytes, uint64_t deadline_usec, char **ret_text, size_t *ret_len) {
    ma_auto_free char *text = NULL;
    size_t len = 0;
    size_t size = 0;
    for (;;) {
        if (len + READ_STEP_BYTES + 1 > size) {
            size = size * 2 + READ_STEP_BYTES + 1;
            char *larger = realloc(text, size);
            if (larger == NULL) {
                return -ENOMEM;
            }
            text = larger;
        }
        int r = wait_readable(fd, deadline_usec);
        ssize_t n = r > 0 ? read(fd, text + len, READ_STEP_BYTES) : r;
        if (n < 0) {
            return r < 0 ? r : -errno;
        }
        if (n == 0 && r > 0) {
            break;
        }
        len += (size_t) n;
        if (len > max_bytes) {
            return -EFBIG;
        }
    }
    text[len] = '\0';
    *ret_text = ma_steal(&text);
    *ret_len = len;
    return 0;
}

static json_t *parts_json(const struct ma_demand *demand) {
    json_t *parts = json_array();
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        const struct ma_demand_part *part = &demand->parts[i];
        (void) json_array_append_new(parts,
                                     json_pack("{s:I, s:I, s:I}", "bytes", (json_int_t) part->bytes,
                                               "page_bytes", (json_int_t) part->page_bytes,
                                               "node_mask", (json_int_t) part->node_mask));
    }
    return parts;
}

static void set(json_t *object, const char *key, uint64_t bytes) {
    (void) json_object_set_new(object, key,
                               json_integer((json_int_t) ma_min_u64(bytes, MA_BYTES_MAX)));
}

json_t *ma_admit_demand_json(const struct ma_demand *demand) {
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:b, s:o}", "uuid", demand->uuid, "name", demand->name,
                  "operation", ma_demand_operation_name(demand->operation), "movable",
                  (int) demand->is_movable, "parts", parts_json(demand));
    if (object == NULL) {
        return NULL;
    }
    set(object, "current_bytes", demand->current_bytes);
    set(object, "pinned_bytes", demand->pinned_bytes);
    set(object, "pin_account_bytes", demand->pin_account_bytes);
    if (demand->memlock_bytes == UINT64_MAX) {
        (void) json_object_set_new(object, "memlock_unlimited", json_true());
    } else {
        set(object, "memlock_bytes", demand->memlock_bytes);
    }
    if (demand->has_guarantee) {
        set(object, "guarantee_bytes", demand->guarantee_bytes);
    }
    if (demand->has_pin_limit) {
        set(object, "pin_limit_bytes", demand->pin_limit_bytes);
    }
    return object;
}
