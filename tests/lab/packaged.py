# SPDX-License-Identifier: LGPL-2.1-or-later
"""packaged.py - memarb's Debian packages in the place of the files that were carried in."""
import glob
import os
import subprocess

from labhost import read, sh

FOLDER = "/opt/memarb"
KEPT = "/var/tmp/memarb-carried.tar"


class Packages:
    """A host on which memarb never was, until one is installed; afterwards the carried files are there again."""

    def __init__(self, host):
        self.host = host
        self.first = f"{FOLDER}/debs"
        self.next = glob.glob(f"{FOLDER}/debs/*/")[0].rstrip("/")

    def __enter__(self):
        self.host.memarb.stop()
        names = [name for name in read(f"{FOLDER}/carried").splitlines() if os.path.lexists(f"/{name}")]
        subprocess.run(["tar", "-C", "/", "-cf", KEPT, "-T", "-"], input="\n".join(names), text=True, check=True)
        for name in names:
            os.unlink(f"/{name}")
        for folder in ("/etc/memarb", "/var/lib/memarb", "/run/memarb"):
            sh("rm", "-rf", folder)
        sh("systemctl", "daemon-reload")
        return self

    def __exit__(self, *_):
        known = [name for name in ("memarb", "memarb-guest-agent") if self.version(name)]
        if known:
            self.purge(*known)
        sh("tar", "-C", "/", "-xf", KEPT)
        sh("systemctl", "daemon-reload")
        sh("systemd-sysusers")
        return False

    def install(self, name, folder=None):
        """As an operator does; what it said."""
        deb = glob.glob(f"{folder or self.first}/{name}_*.deb")[0]
        return self.apt("install", "-y", "--no-install-recommends", deb)

    def remove(self, *names):
        return self.apt("remove", "-y", *names)

    def purge(self, *names):
        return self.apt("purge", "-y", *names)

    @staticmethod
    def apt(*arguments):
        return sh("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Dpkg::Use-Pty=0", *arguments, seconds=600)

    @staticmethod
    def version(name):
        """With its state; "" for a package that dpkg has not heard of."""
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return done.stdout
