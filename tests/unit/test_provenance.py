"""Whose a difference is, where commands and other people change the same files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from wizard.changes.file import merged
from wizard.engine.provenance import Provenance
from wizard.model.claim import Claim
from wizard.system.host import Host

SENDMAIL = "smmta:x:105:107::/:/bin/sh\n"


def entry(content: str) -> Entry:
    return Entry(Kind.FILE, 0o644, 0, 0, content.encode())


def ours(tmp_path: Path, before: dict[str, str], live: dict[str, str]) -> dict[str, str]:
    """What a command that made the accounts smmta and smmsp made of these files of /etc."""
    claims = (Claim(accounts=frozenset({"smmta", "smmsp"})),)
    provenance = Provenance((), claims, partial(merged, Host(tmp_path)))
    states = [{f"etc/{name}": entry(text) for name, text in files.items()} for files in (before, live)]
    made = provenance.ours(*states)
    return {path.removeprefix("etc/"): there.content.decode() for path, there in made.items() if there}


def test_a_backup_of_accounts_that_lagged_behind_is_the_steps_work(tmp_path: Path) -> None:
    """adduser copies passwd first: with records that others had made or removed before the step."""
    root, alice, bob = (
        "root:x:0:0::/root:/bin/sh\n",
        "alice:x:1000:1000::/:/bin/sh\n",
        "bob:x:1001:1001::/:/bin/sh\n",
    )
    before = {"passwd": root + alice, "passwd-": root + bob}
    made = ours(tmp_path, before, {"passwd": root + alice + SENDMAIL, "passwd-": root + alice})
    assert made == {"passwd": root + alice + SENDMAIL, "passwd-": root + alice}


def test_what_others_did_meanwhile_is_not_the_steps_in_a_backup_either(tmp_path: Path) -> None:
    root, alice = "root:x:0:0::/root:/bin/sh\n", "alice:x:1000:1000::/:/bin/sh\n"
    live = {"passwd": root + SENDMAIL + alice, "passwd-": root + SENDMAIL + alice}
    made = ours(tmp_path, {"passwd": root, "passwd-": root}, live)
    assert made == {"passwd": root + SENDMAIL, "passwd-": root + SENDMAIL}
    changed = root.replace("/bin/sh", "/bin/bash")
    live = {"passwd": changed + SENDMAIL, "passwd-": changed}
    assert "passwd-" not in ours(tmp_path, {"passwd": root, "passwd-": root}, live)


def test_a_backup_that_lagged_behind_has_a_group_as_the_step_left_it(tmp_path: Path) -> None:
    """The second member is added: the backup has the group with the first, and with what it lacked before."""
    before = {"group": "sasl:x:45:\n", "group-": "sasl:*:45:\n"}
    live = {"group": "sasl:x:45:smmta\n", "group-": "sasl:x:45:smmta\n"}
    assert ours(tmp_path, before, live) == live
    before = {"gshadow": "root:*::\nsasl:*::\n", "gshadow-": "root:*::\n"}
    live = dict.fromkeys(before, "root:*::\nsasl:*::smmta\n")
    assert ours(tmp_path, before, live) == live


def test_a_backup_may_have_a_group_as_it_was_between_two_members_of_the_step(tmp_path: Path) -> None:
    """On a fresh Debian 13 the backups are older than the shadow groups."""
    before = {"group": "sasl:x:45:\n", "group-": "sasl:*:45:\n"}
    live = {"group": "sasl:x:45:smmta,smmsp\n", "group-": "sasl:x:45:smmta\n"}
    assert ours(tmp_path, before, live) == live
    before = {"gshadow": "root:*::\nsasl:*::\n", "gshadow-": "root:*::\n"}
    live = {"gshadow": "root:*::\nsasl:*::smmta,smmsp\n", "gshadow-": "root:*::\nsasl:*::smmta\n"}
    assert ours(tmp_path, before, live) == live


def test_a_member_whom_others_add_meanwhile_is_not_the_steps_in_a_backup_either(tmp_path: Path) -> None:
    before = {"group": "sasl:x:45:\n", "group-": "sasl:*:45:\n"}
    live = {"group": "sasl:x:45:smmta,bob,smmsp\n", "group-": "sasl:x:45:smmta,bob\n"}
    assert ours(tmp_path, before, live) == {"group": "sasl:x:45:smmta,smmsp\n", "group-": "sasl:*:45:smmta\n"}


def test_what_the_system_keeps_up_changes_with_packages_and_is_left_to_it(tmp_path: Path) -> None:
    """ldconfig writes its cache again, whichever way the packages go."""
    before, live = {"etc/ld.so.cache": entry("libraries")}, {"etc/ld.so.cache": entry("more libraries")}
    for packages in (True, False):
        provenance = Provenance((), (Claim(of_packages=packages),), partial(merged, Host(tmp_path)))
        assert provenance.ours(before, live) == (live if packages else {})
        assert provenance.undone(before, live) == ({}, {})
