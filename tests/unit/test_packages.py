"""What a run of apt came to, and what undo may touch of it. apt itself runs in the system tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wizard.apt import progress_of
from wizard.changes import PackagesChange
from wizard.host import Completed, Host, HostError
from wizard.plan import ChangeError


@dataclass(frozen=True)
class Dpkg(Host):
    """A host whose apt changes `state` from before to after; an upgrade on the way cannot be had offline."""

    after: dict[str, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    code: int = 0
    hangs: bool = False
    ran: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, argv, **options):  # type: ignore[no-untyped-def]
        self.ran.append(tuple(argv))
        out = ""
        if argv[0] == "dpkg-query":
            out = "".join(f"{name} {version} installed\n" for name, version in self.state.items())
        elif argv[0] == "apt-get" and "-s" in argv:
            pass
        elif argv[0] == "apt-get" and "purge" in argv:
            for name in argv[argv.index("-q") + 1 :]:
                del self.state[name]
        elif argv[0] == "apt-get" and "install" in argv:
            self.state.clear()
            self.state.update(self.after)
            if self.hangs:
                raise HostError("apt-get did not end within 1800 s and was stopped")
        return Completed(tuple(argv), self.code if argv[0] == "apt-get" else 0, out, "", 0.1)


def host(**options: object) -> Dpkg:
    before = {"libsasl2-2": "1", "perl": "5"}
    after = {"libsasl2-2": "2", "perl": "5", "sasl2-bin": "2"}
    return Dpkg(Path("/"), after, before, **options)  # type: ignore[arg-type]


def purged(machine: Dpkg) -> list[str]:
    return [
        name
        for argv in machine.ran
        if "purge" in argv and "-s" not in argv
        for name in argv[argv.index("-q") + 1 :]
    ]


def test_undo_never_removes_what_was_only_upgraded() -> None:
    machine = host()
    effect = PackagesChange(("sasl2-bin",)).apply(machine, lambda _: None)
    assert effect.record()["installed"] == {"sasl2-bin": "2"}
    assert effect.record()["upgraded"] == ["libsasl2-2"]
    effect.undo(machine, lambda _: None)
    assert purged(machine) == ["sasl2-bin"]


@pytest.mark.parametrize("options", [{"code": 100}, {"hangs": True}])
def test_a_failed_apt_leaves_its_effect_to_undo(options: dict[str, object]) -> None:
    with pytest.raises(ChangeError) as caught:
        PackagesChange(("sasl2-bin",)).apply(host(**options), lambda _: None)
    assert caught.value.effect is not None
    assert caught.value.effect.record()["installed"] == {"sasl2-bin": "2"}


def test_what_apt_says_of_its_progress() -> None:
    assert progress_of("dlstatus:1:20.1556:Retrieving file 3 of 40 (2s remaining)") == (
        20.1556,
        "Retrieving file 3 of 40 (2s remaining)",
    )
    assert progress_of("pmstatus:libc6:amd64:41.5:Unpacking libc6:amd64") == (41.5, "Unpacking libc6:amd64")
    assert progress_of("pmstatus:dpkg-exec:100:Running dpkg") == (100.0, "Running dpkg")
    for line in ("Unpacking sendmail-bin (8.17) ...", "pmstatus:x:nan:y", "pmerror:/var/x.deb:12.5:no space"):
        assert progress_of(line) is None
