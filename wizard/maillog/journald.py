"""Whether systemd-journald is set up to store what sendmail logs (journald.conf(5)).

Old files of a journal stay where they are once `Storage=none` leaves the log to rsyslog, so a file alone tells nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wizard.system.host import Host

_FOLDERS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
"""The first that has a file of a name counts."""
_STORAGES = ("volatile", "persistent", "auto", "none")
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_INFO = _LEVELS.index("info")
"""The level of a login, a wrong password and a message in sendmail's log (syslog(3))."""
_LINE = re.compile(r"\s*(?:\[(?P<section>[^\]]*)\]|(?P<key>\w+)\s*=\s*(?P<value>.*?))\s*")


def stores_mail(host: Host) -> bool:
    """Whether what it is told of mail ends up in a journal."""
    storage, level = "auto", len(_LEVELS) - 1
    for path in _files(host):
        for key, value in _settings(host.text(path)):
            if key == "Storage" and value in _STORAGES:
                storage = value
            elif key == "MaxLevelStore" and value in _LEVELS:
                level = _LEVELS.index(value)
            elif key == "MaxLevelStore" and value.isdecimal() and int(value) < len(_LEVELS):
                level = int(value)
    return storage != "none" and level >= _INFO


def _files(host: Host) -> Iterator[str]:
    """Its own file, then what is beside it in the order of the names."""
    drop_ins = {
        name: f"{folder}/journald.conf.d/{name}"
        for folder in reversed(_FOLDERS)
        for name in host.names(f"{folder}/journald.conf.d")
        if name.endswith(".conf")
    }
    own = [f"{folder}/journald.conf" for folder in _FOLDERS if host.exists(f"{folder}/journald.conf")]
    yield from own[:1]
    yield from (drop_ins[name] for name in sorted(drop_ins))


def _settings(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        if match["section"] is not None:
            section = match["section"]
        elif section == "Journal":
            yield match["key"], match["value"]
