# SPDX-License-Identifier: LGPL-2.1-or-later
"""pressing.py - the whole host filled up by somebody whom the kernel may not kill."""
import time

from labhost import MIB, mib
from tinyguest import host_meminfo

# Where there is a memarb: seconds for each 16 MiB, until so much is left, and from there. Under emulation balloons return 30-80 MiB/s,
# real ones 1 GiB/s. A hog that takes 180 MiB/s and has 400 MiB left will have all of it in two seconds, as far as anybody can
# know: then memarb rightly ends somebody, which is not what is to be seen here. Without memarb nobody answers, and it waits for nobody.
FAST_LEFT_MIB, FAST_PAUSE, PAUSE = 600, 0.25, 0.8
WATCHED_SECONDS = 8


def press(host, guests, over_mib, tick):
    """Takes what is available and so much more; True if it got it."""
    swap_mib = host_meminfo()["SwapFree"] // MIB
    available, fast_pause, pause = host.available() // MIB, *((FAST_PAUSE, PAUSE) if host.memarb.is_running() else (0, 0))
    least = host.available()
    host.hog(max(available - FAST_LEFT_MIB, 16), pause=fast_pause).wait_full()
    slow = host.hog(min(available, FAST_LEFT_MIB) + over_mib + swap_mib, pause=pause)
    full_at, end = None, time.monotonic() + 400
    while time.monotonic() < end and (full_at is None or time.monotonic() < full_at + WATCHED_SECONDS):
        least = min(least, host.available())
        if full_at is None and slow.is_full():
            full_at = time.monotonic()
        if not all(guest.alive() for guest in guests):
            break
        tick()
        time.sleep(0.5)
    info = host_meminfo()
    host.note(f"hog {'full' if full_at else 'not full'}, least available {mib(least)}, swap used "
              f"{mib(info['SwapTotal'] - info['SwapFree'])}")
    return full_at is not None
