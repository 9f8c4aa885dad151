#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools.py - clang-format 14, shellcheck, codespell, and groff's warnings on the man pages."""
import os
import shutil
import subprocess

from tree import ROOT, Skip, c_files, report, text_of, tracked

# Words that codespell takes for mistakes: fields of kernel and library interfaces, and short names.
# The last three are mistakes that tests make on purpose.
SPELLING_OK = "pres,ret,fo,nd,ans,inflight,creat,te,ser,statics,unparseable,hist,crate,mis,ba,ot,doen,imapct,baloon,reserv"


def run(tool, arguments, stdin=None):
    if shutil.which(tool) is None:
        raise Skip(f"{tool} is not installed")
    done = subprocess.run([tool, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          input=stdin, check=False)
    return done.stdout.splitlines() if done.returncode != 0 else []


def formatting():
    done = subprocess.run(["clang-format", "--version"], stdout=subprocess.PIPE, text=True, check=False) \
        if shutil.which("clang-format") else None
    if done is not None and " 14." not in done.stdout:
        raise Skip(f"clang-format 14 decides, not {done.stdout.strip()}")
    return run("clang-format", ["--dry-run", "-Werror", "--ferror-limit=3", *c_files()])


def is_shell(path):
    text = text_of(path) if os.path.getsize(os.path.join(ROOT, path)) < 1 << 20 else None
    first = (text or "").partition("\n")[0]
    return first.startswith("#!") and first.rpartition("/")[2].split()[-1] in ("sh", "bash", "dash")


def shell_scripts():
    paths = [path for path in tracked() if "/corpus/" not in path and is_shell(path)]
    return run("shellcheck", ["--format=gcc", *paths])


def zsh_completions():
    return run("zsh", ["-n", *[path for path in tracked() if (text_of(path) or "").startswith("#compdef")]])


def spelling():
    paths = [path for path in tracked() if not path.startswith(("tests/data/", "LICENSE")) and "/corpus/" not in path
             and text_of(path) is not None]
    return run("codespell", ["--ignore-words-list", SPELLING_OK, *paths])


def man_pages():
    complaints = []
    for path in tracked():
        if path.startswith("arbiter/data/man/") and path[-2:] in (".1", ".5", ".8"):
            if shutil.which("man") is None:
                raise Skip("man is not installed")
            done = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path], cwd=ROOT,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                                  env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
            complaints += done.stderr.splitlines()
    return complaints


report([("format", formatting), ("shellcheck", shell_scripts), ("zsh completions", zsh_completions),
        ("codespell", spelling), ("man pages", man_pages)])
