"""Debian's Chromium in a sandbox without a network, which shows a page to tests."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab import rootfs
from lab.sandbox import CONFIG
from tests.e2e.support.commands import run

_FLAGS = (
    "--headless",
    "--no-sandbox",  # it runs as root, in namespaces of its own
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--no-pdf-header-footer",
    "--user-data-dir=/tmp/profile",
    "--log-net-log=/page/net.json",
)
# `--blink-settings=scriptEnabled=false` would also end the script by which Chromium itself dumps a page.
_SCRIPTS_OFF = {"profile": {"default_content_setting_values": {"javascript": 2}}}
_OWN_HOSTS = (".google.com", ".googleapis.com", ".gvt1.com")
# In the sandbox, which has the files of one page in /page.
_SHOW = """
mkdir -p /tmp/profile/Default
cp /page/preferences.json /tmp/profile/Default/Preferences
cd /page
chromium "$@" --dump-dom --screenshot=shown.png --print-to-pdf=printed.pdf file:///page/page.html >dom.html
pdftotext -layout printed.pdf
"""


@dataclass(frozen=True)
class Shown:
    """What a browser makes of a page.

    dom: the document, after any script of it has run
    printed: the text of each printed page
    image: the PNG
    asked: the hosts that the page requested something of
    """

    dom: str
    printed: list[str]
    image: bytes
    asked: set[str]


@dataclass(frozen=True)
class Browser:
    """Shows pages, each in a fresh sandbox.

    directory: for the files of one page at a time
    """

    directory: Path

    def show(self, text: str, *options: str, scripts: bool = False, width: int = 1200) -> Shown:
        """Show a page on a screen of this width, and print it.

        scripts: whether it may run scripts
        """
        root = rootfs.directory_of(rootfs.BROWSER)
        assert rootfs.is_made(rootfs.BROWSER), "there is no browser; run `python -m lab build browser`"
        work, state = self.directory / "work", self.directory / "state"
        for directory in (work, state):
            directory.mkdir(exist_ok=True)
        (work / "page.html").write_text(text, encoding="utf-8")
        (work / "preferences.json").write_text(json.dumps({} if scripts else _SCRIPTS_OFF))
        namespaces = ("--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "--kill-child")
        sandbox = ("sh", str(CONFIG / "sandbox.sh"), str(root / "root"), str(state), "none", f"{work}:/page:rw", "--")
        size = f"--window-size={width},1600"
        run("unshare", *namespaces, *sandbox, "sh", "-euc", _SHOW, "sh", *_FLAGS, size, *options)
        pages = (work / "printed.txt").read_text().split("\f")
        return Shown((work / "dom.html").read_text(), pages[:-1], (work / "shown.png").read_bytes(), _asked(work))


def _asked(work: Path) -> set[str]:
    """Return the hosts in Chromium's log of its network, without those that it asks on its own."""
    events = json.loads((work / "net.json").read_text())["events"]
    urls = (event.get("params", {}).get("url", "") for event in events)
    return {host for url in urls if (host := urlsplit(url).hostname) and not host.endswith(_OWN_HOSTS)}
