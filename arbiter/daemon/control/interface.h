/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* interface.h - the interface descriptions that the service gives out; made by interface.py from arbiter/data. */

extern const char ma_interface_arbiter[];
extern const char ma_interface_service[];
