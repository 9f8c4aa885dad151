# SPDX-License-Identifier: LGPL-2.1-or-later
"""taptest.py - TAP for test scripts.

    from taptest import run_tests, Skip, check_equal

    def test_balloon_returns_memory(lab): ...

    run_tests([test_balloon_returns_memory], lab)      # prints the plan and results; exits 0 or 1

A test fails by any exception and is skipped, with its reason, by Skip. A name on the command line runs that one alone.
"""
import sys
import time
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; the text is the reason."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_equal(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what} is {actual!r}, not {expected!r}")


def check_between(actual, low, high, what="value"):
    if not low <= actual <= high:
        raise AssertionError(f"{what} is {actual}, not in {low}..{high}")


def skip_all(reason):
    print(f"1..0 # SKIP {reason}", flush=True)
    sys.exit(0)


EXPLAINERS = []


def on_failure(explain):
    """When a test fails, what explain() returns (text, or None for nothing) is printed below its traceback."""
    EXPLAINERS.append(explain)


def print_failure():
    texts = [traceback.format_exc()]
    for explain in EXPLAINERS:
        try:
            texts.append(explain())
        except Exception as problem:  # pylint: disable=broad-except
            texts.append(f"(no explanation: {problem})")
    for text in filter(None, texts):
        for line in text.splitlines():
            print(f"# {line}", flush=True)


def run_tests(tests, *arguments):
    wanted = sys.argv[1:]
    known = {test.__name__ for test in tests}
    for name in wanted:
        if name not in known:
            sys.exit(f"no test {name}; there are: {' '.join(sorted(known))}")
    chosen = [test for test in tests if not wanted or test.__name__ in wanted]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, test in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            test(*arguments)
            verdict, note = "ok", ""
        except Skip as reason:
            verdict, note = "ok", f" # SKIP {reason}"
        except Exception:  # pylint: disable=broad-except
            print_failure()
            verdict, note = "not ok", ""
            failed += 1
        except SystemExit:  # the runner's deadline: say where the test was
            print_failure()
            raise
        print(f"{verdict} {number} - {test.__name__}{note}", flush=True)
        print(f"# {test.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    sys.exit(1 if failed else 0)
