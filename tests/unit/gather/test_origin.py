"""Whether Sendmail is Debian's package, by what is there and what apt offers."""

from __future__ import annotations

from pathlib import Path

from wizard.gather.origin import NEEDED, UPDATE_AUTH, foreign, offered
from wizard.system.host import Host

POLICY = """sendmail-base:
  Installed: (none)
  Candidate: 8.18.1-6
  Version table:
     8.18.1-6 500
        500 http://archive.example.test/ubuntu plucky/universe amd64 Packages
sasl2-bin:
  Installed: 2.1.28+dfsg1-9
  Candidate: 2.1.28+dfsg1-9
libsasl2-modules:
  Installed: (none)
  Candidate: (none)
"""


def test_a_package_without_a_candidate_is_not_offered() -> None:
    assert offered(POLICY) == {"sendmail-base", "sasl2-bin"}
    assert offered("N: Unable to locate package sendmail-base\n") == frozenset()


def test_no_dpkg_means_another_sendmail(tmp_path: Path) -> None:
    reason = foreign(Host(tmp_path), {})
    assert reason
    assert ("no dpkg and no apt" in reason.why, "apt" in reason.remedy) == (True, False)


def test_an_installed_package_must_bring_debians_script(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    reason = foreign(Host(tmp_path), {"sendmail-bin": "8.15"})
    assert reason
    assert UPDATE_AUTH in reason.why
    script = tmp_path / UPDATE_AUTH.lstrip("/")
    script.parent.mkdir(parents=True)
    script.touch()
    assert foreign(Host(tmp_path), {"sendmail-bin": "8.15"}) is None


def test_what_is_needed_is_what_the_steps_install_and_their_scripts() -> None:
    assert {"sendmail-base", "sasl2-bin"} < set(NEEDED)
