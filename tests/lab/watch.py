# SPDX-License-Identifier: LGPL-2.1-or-later
"""watch.py - inside the virtual host: signs of life for who waits outside, and a limit that ends also a scenario that hangs in
a call which no signal ends (a libvirt call to a QEMU that does not answer)."""
import os
import subprocess
import sys
import threading
import time
import traceback

# run.sh leaves these lines out, and takes a host without any for some minutes for hung (SILENT_SECONDS there).
BEAT, BEAT_SECONDS = "# beat", 20
# After a scenario's own limit, for its end.
GRACE_SECONDS = 200


class Watch(threading.Thread):
    """each_beat() is called after each, keep_logs() before the host ends early."""

    def __init__(self, points, each_beat, keep_logs):
        super().__init__(daemon=True)
        self.points, self.each_beat, self.keep_logs = points, each_beat, keep_logs
        self.end, self.main = None, threading.main_thread().ident

    def limit(self, seconds):
        """The scenario that begins now; None: there is none."""
        self.end = None if seconds is None else time.monotonic() + seconds + GRACE_SECONDS

    def run(self):
        while True:
            time.sleep(BEAT_SECONDS)
            self.points.line(BEAT)
            try:
                self.each_beat()
            except (OSError, subprocess.SubprocessError) as error:
                self.points.note(f"the journal: {error}")
            end = self.end
            if end is not None and time.monotonic() > end:
                self.give_up()

    def give_up(self):
        for line in traceback.format_stack(sys._current_frames()[self.main]):  # pylint: disable=protected-access
            for part in line.rstrip().splitlines():
                self.points.note(part)
        self.points.point(False, "hangs in a call that its time limit did not end")
        self.keep_logs()
        os._exit(1)
