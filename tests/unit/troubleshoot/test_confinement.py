"""AppArmor over the daemons. The lines are of the form that aa-logprof(8) and the kernel's audit records have; a kernel
with AppArmor is not what the tests' machines run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.model.facts import Process
from wizard.system.host import Completed, Host
from wizard.troubleshoot.confinement import look

DENIED = (
    'AVC apparmor="DENIED" operation="open" class="file" profile="/usr/sbin/saslauthd" name="/etc/pam.d/smtp" '
    'pid=7 comm="saslauthd" requested_mask="r" denied_mask="r" fsuid=0 ouid=0'
)
OTHERS = DENIED.replace("saslauthd", "cupsd")
SASLAUTHD = Process(7, "saslauthd", ("/usr/sbin/saslauthd",), 0.0)


class Recorded(Host):
    """A host whose journal holds these lines."""

    asked = 0

    def run(self, argv, **_options):  # type: ignore[no-untyped-def]
        """Those lines, whatever was asked."""
        self.asked += 1
        assert argv[0] == "journalctl"
        return Completed(tuple(argv), 0, f"{OTHERS}\n{DENIED}\n", "", 0.0)


@pytest.mark.parametrize("name", ["current", "apparmor/current"])
def test_what_a_profile_forbade_is_told_apart_from_others(tmp_path: Path, name: str) -> None:
    _attribute(tmp_path, name, "/usr/sbin/saslauthd (enforce)\n")
    (confined,) = look(Recorded(tmp_path), [SASLAUTHD], 0.0)
    assert (confined.daemon, confined.denied) == ("saslauthd", (DENIED,))


@pytest.mark.parametrize(
    "mode", ["unconfined\n", "/usr/sbin/saslauthd (complain)\n", "system_u:system_r:init_t:s0"]
)
def test_nothing_is_asked_where_nothing_is_enforced(tmp_path: Path, mode: str) -> None:
    _attribute(tmp_path, "current", mode)
    host = Recorded(tmp_path)
    assert look(host, [SASLAUTHD], 0.0) == ()
    assert host.asked == 0


def _attribute(root: Path, name: str, text: str) -> None:
    path = root / "proc/7/attr" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
