"""Debian's Chromium, in which the tests look at the console as a person does; installed where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGE = "chromium"
INSTALL = ("apt-get", "install", "--yes", "-qq", "--no-install-recommends", PACKAGE, "fonts-dejavu-core")
# Without a sandbox of its own, because root has none; and without what asks the network for the browser's own sake.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoChromium(Exception):
    """Chromium is neither on this machine nor can it be installed by this user; the message says what to do."""


def chromium() -> str:
    """Return the path of Chromium. Raises ``NoChromium``."""
    found = shutil.which(PACKAGE)
    if not found:
        raise NoChromium(f"The console's tests need Chromium: run `sudo {' '.join(INSTALL)}`.")
    return found


def install() -> None:
    """Install Chromium unless it is there; only root may. Raises ``NoChromium`` and ``CalledProcessError``."""
    if shutil.which(PACKAGE):
        return
    if os.geteuid() or not shutil.which(INSTALL[0]):
        chromium()
    sys.stdout.write("installing Chromium (a minute)\n")
    # Lists that are a day old name packages which the archive may no longer have.
    subprocess.run([INSTALL[0], "update", "-qq"], check=True)
    subprocess.run(INSTALL, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    chromium()


if __name__ == "__main__":
    install()
