"""m4 runs again exactly when something it depends on has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wizard.errors import HostError
from wizard.sendmail.m4 import expand
from wizard.system.host import Completed, Host


@dataclass(frozen=True)
class Counting(Host):
    """A host with its own /etc/mail, that counts its commands."""

    ran: list[str] = field(default_factory=list)

    def run(self, argv: Any, **options: Any) -> Completed:
        self.ran.append(argv[0])
        return super().run(argv, **options | {"cwd": str(self.root / "etc/mail")})


@pytest.fixture
def host(tmp_path: Path) -> Counting:
    folder = tmp_path / "etc/mail"
    folder.mkdir(parents=True)
    (folder / "part.m4").write_text("one\n")
    old = time.time() - 60
    os.utime(folder / "part.m4", (old, old))
    time.sleep(0.05)  # what is newer than the kernel's clock can tell is never kept
    return Counting(tmp_path)


def source(host: Counting) -> bytes:
    folder = host.root / "etc/mail"
    return f"include(`{folder}/part.m4')sinclude(`{folder}/more.m4')end\n".encode()


def write(host: Counting, text: bytes) -> str:
    path = host.root / "etc/mail/sendmail.mc"
    path.write_bytes(text)
    return str(path)


def test_m4_does_not_begin_on_a_macro_that_calls_itself(host: Counting) -> None:
    text = b"define(`again', `x again')dnl\nagain\n"
    with pytest.raises(HostError, match="line 2: again: macros here expand without end"):
        expand(host, write(host, text), text)
    assert host.ran == []


def test_an_unchanged_file_is_expanded_once_under_whatever_name(host: Counting) -> None:
    text = source(host)
    first = expand(host, write(host, text), text)
    copy = host.root / "copy.mc"
    copy.write_bytes(text)
    assert first.text == "one\nend\n"
    assert expand(host, str(copy), text) is first
    assert host.ran == ["m4"]
    assert first.messages == ""


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (lambda folder: (folder / "part.m4").write_text("two\n"), "two\nend\n"),
        (lambda folder: (folder / "more.m4").write_text("more\n"), "one\nmore\nend\n"),
    ],
    ids=["an include", "a file that was not there"],
)
def test_a_change_anywhere_is_seen(host: Counting, change: Callable[[Path], object], made: str) -> None:
    text = source(host)
    path = write(host, text)
    expand(host, path, text)
    change(host.root / "etc/mail")
    assert expand(host, path, text).text == made
    assert host.ran == ["m4", "m4"]


def test_another_text_is_expanded_again(host: Counting) -> None:
    text = source(host)
    expand(host, write(host, text), text)
    other = text + b"x\n"
    assert expand(host, write(host, other), other).text == "one\nend\nx\n"


def test_what_is_said_without_a_newline_ends_where_the_list_of_files_goes_on(host: Counting) -> None:
    """As sendmail's FEATURE behind a MAILER complains."""
    text = b"errprint(`no newline')" + source(host)
    made = expand(host, write(host, text), text)
    assert made.messages == "no newline\n"
    assert expand(host, write(host, text), text) is made
    (host.root / "etc/mail/part.m4").write_text("two\n")
    assert "two" in expand(host, write(host, text), text).text


def test_what_m4_says_is_kept_apart_from_its_list_of_files(host: Counting) -> None:
    text = b"include(`/nowhere.m4')\n"
    made = expand(host, write(host, text), text)
    assert made.code == 1
    assert "nowhere.m4" in made.messages
    assert "m4debug" not in made.messages
