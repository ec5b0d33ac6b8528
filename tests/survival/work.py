"""Another admin's whole set of work on a machine, and a machine without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.survival.admin import (
    Edit,
    add_line,
    change_mode,
    change_owner,
    delete,
    replace_by_link,
    rewrite_with,
    write_anew,
)
from tests.survival.fake_dpkg import KNOWN
from tests.survival.fake_files import State, make_folders, put, text
from tests.survival.fake_systemd import READ
from tests.survival.machine import Machine

HIS = ("# the admin's line", "admin", "alice:$6$new")
"""How each line begins that he writes; what is generated from such a line begins so, too."""
SHADOW = "root:*:1:::::::\nalice:{}:2:::::::\n"

Deed = tuple[Callable[[Path, str, int], Edit | None], str]

BESIDE: tuple[Deed, ...] = (
    *((add_line, path) for path in ("etc/passwd", "etc/group", "etc/aliases", "etc/plain")),
    *((write_anew, path) for path in ("etc/mine", "etc/work/mine", "etc/default/mine", "etc/cron.d/mine")),
    (write_anew, "etc/systemd/system/mine.service"),
    (replace_by_link, "etc/rc2.d/S99mine"),
    (write_anew, "etc/mail/mine"),
    (add_line, "etc/firewall/rules.v4"),
    (change_mode, "etc/work/mode"),
    (change_owner, "etc/work/owner"),
    (replace_by_link, "etc/work/link"),
    (delete, "etc/work/gone"),
)
"""What nobody else has a part in, or only beside it."""
WITHIN: tuple[Deed, ...] = (
    *((add_line, path) for path in ("etc/mail/access", "etc/mail/sendmail.mc", "etc/default/saslauthd")),
    (add_line, "etc/mail/sasl/Sendmail.conf.2"),
    (write_anew, "etc/mail/sasl/mine"),
    (add_line, "etc/firewall/opened/587"),
    (change_mode, "etc/mail/sendmail.mc"),
)
"""In files that come with packages and steps, and go with them."""


def prepare(root: Path) -> None:
    """Files of the admin's own, of the kinds that the deeds need."""
    make_folders(root / "etc/work")
    for name in ("mode", "owner", "link", "gone"):
        put(root / "etc/work" / name, f"{name}\n")
    put(root / "etc/aliases", "postmaster: root\n")
    put(root / "etc/shadow", SHADOW.format("$6$old"), 0o640)


@dataclass
class Work:
    """What he did on one machine."""

    machine: Machine
    edits: list[Edit] = field(default_factory=list)
    packages: bool = False
    """Whether he installed one of his own."""

    def do(self, deed: Deed, number: int) -> None:
        """One edit, where it can be made; what he did before to the same path may hold no more by that."""
        act, path = deed
        if edit := act(self.machine.root, path, number):
            self.edits = [each for each in self.edits if each.holds(self.machine.root)]
            self.edits.append(edit)

    def change_password(self) -> None:
        """alice gets another one."""
        place = self.machine.root / "etc/shadow"
        rewrite_with(place, text(place).replace("alice:$6$old", "alice:$6$new"))
        self.edits.append(Edit("etc/shadow", "line", SHADOW.format("$6$new").splitlines()[1]))

    def install(self) -> None:
        """A package; where dpkg was cut off he ends that first, as apt asks him to."""
        apt = self.machine.host.apt
        code, said = apt.get("install", "-y", "swaks")
        if code:
            apt.dpkg.configure_pending()
            code, said = apt.get("install", "-y", "swaks")
        assert code == 0, said
        self.packages = True

    def day(self, deeds: tuple[Deed, ...]) -> None:
        """All of it."""
        self.install()
        self.change_password()
        for number, deed in enumerate(deeds, 1):
            self.do(deed, number)

    @property
    def lost(self) -> list[str]:
        """What does not hold any more."""
        known = self.machine.known()
        gone = ["swaks"] if self.packages and not ("swaks" in known and known["swaks"].here) else []
        return gone + [str(each) for each in self.edits if not each.holds(self.machine.root)]

    @property
    def count(self) -> int:
        """How much he did."""
        return len(self.edits) + self.packages

    def without(self, found: dict[str, State], before: dict[str, State]) -> dict[str, State]:
        """A picture without his part of it, where `before` is what it is to be compared with."""
        touched = {edit.path for edit in self.edits}
        above = {str(folder) for path in touched for folder in Path(path).parents}
        shown = {path: _plain(state) for path, state in found.items()}
        for name, paths in READ.items():  # his own edits are what a daemon has read, or has not
            made = name == "sendmail" and any(path.startswith("etc/mail/") for path in touched)
            if (made or touched & {*paths}) and (daemon := f"run/daemons/{name}") in shown:
                shown[daemon] = (*shown[daemon][:4], b"", ())
        for path in (touched | above | {f"{KNOWN}/swaks"}) - before.keys():
            shown.pop(path, None)
        for edit in self.edits:
            if edit.what != "line" and edit.path in before:
                shown[edit.path] = _plain(before[edit.path])
        return shown


def _plain(state: State) -> State:
    """Without his lines; the old password stands for the new one."""
    lines = state[4].decode("latin-1").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith((HIS[0], *HIS[1:], "alice:")))
    return (*state[:4], kept.encode("latin-1"), state[5])
