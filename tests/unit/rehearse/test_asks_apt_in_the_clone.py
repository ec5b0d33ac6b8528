"""Whether the clone asks apt what comes with the packages: only where some are missing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from wizard.model.answers import Answers
from wizard.rehearse.worker import CloneRun, Teller
from wizard.system.host import Completed, Host


@dataclass(frozen=True)
class Asked(Host):
    """A host with these packages, as dpkg-query names them."""

    packages: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list)

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        self.ran.append(argv[0])
        rows = [f"{name} 1 installed\n" for name in self.packages] if argv[0] == "dpkg-query" else []
        return Completed(tuple(argv), 0, "".join(rows), "", 0.0)


@pytest.mark.parametrize(
    ("packages", "steps", "asks"),
    [
        (("sendmail", "sasl2-bin"), [], True),
        (("sendmail", "sasl2-bin"), ["restart"], False),
        (("sendmail", "sasl2-bin", "libsasl2-modules:amd64"), [], False),  # as Multi-Arch: same is named
    ],
)
def test_apt_is_asked_where_packages_are_missing(
    packages: tuple[str, ...], steps: list[str], asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    host = Asked(packages=packages)
    CloneRun(Teller(), Answers(), {"steps": steps}, host)._asked_apt()
    assert ("apt-get" in host.ran) == asks
