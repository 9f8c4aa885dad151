/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* page-parts.h - page.css, page.js and the Content-Security-Policy with their hashes, made by embed.py. */

extern const char report_style[];
extern const char report_script[];
extern const char report_policy[];
