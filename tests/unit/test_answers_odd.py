"""Answers that nobody would write: each is a clear error, at once, and never a traceback."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wizard.errors import AnswersError
from wizard.model.answers import Answers
from wizard.model.answers_file import MAX_FILE, load, parse
from wizard.render.files import as_toml

DEEP = 1000
TEXTS = {
    "arrays": "x = " + "[" * DEEP + "]" * DEEP,
    "arrays in a key": "[listen]\nsmtp = " + "[" * DEEP + "]" * DEEP,
    "not quite so deep": "[listen]\nsmtp = " + "[" * 300 + "]" * 300,
    "inline tables": "[listen]\nsmtp = " + "{a=" * DEEP + "1" + "}" * DEEP,
    "both, over lines": "[listen]\nsmtp = " + "[\n" * 20_000,
    "a header": "[" + ".".join("a" * DEEP) + "]",
    "headers": "\n".join("[" + ".".join([*"a" * 19, f"b{number}"]) + "]" for number in range(1000)),
    "dotted keys": ".".join("a" * 20_000) + " = 1",
    "dotted keys, quoted": ".".join(['"a"'] * 15_000) + " = 1",
    "dotted keys behind a quote": '"\\"".' + ".".join("a" * 2000) + ' . "" = 1',
    "dotted keys in a table": "x = {" + ".".join("a" * 2000) + " = 1}",
    "many short keys": "\n".join(f"{number} = 1" for number in range(7000)),
    "dotted lines": "\n".join(f"a.b{number} = 1" for number in range(5000)),
    "4000 digits": "[listen]\nipv6 = " + "9" * 4000,
    "5000 digits": "[listen]\nipv6 = " + "9" * 5000,
    "digits over lines": "[listen]\nsmtp = [\n" + "9" * 4000 + "]",
    "hexadecimal": "[listen]\nipv6 = 0x" + "f" * 4000,
    "infinity": "[listen]\nipv6 = 1e9999",
    "no number": "[listen]\nipv6 = nan",
    "a day that is none": "[listen]\nipv6 = 2026-02-31",
    "an offset that is none": "[listen]\nipv6 = 2026-01-01T00:00:00+29:99",
    "quotes": '"' * 60_000,
    "quotes over lines": '"""\\\n' * 9000,
    "apostrophes": "'\n" * 30_000,
    "NUL": "[listen]\nipv6 = \0",
    "NUL in a text": '[test]\nhost = "a\0b"',
    "a carriage return": "[listen]\ripv6 = true",
    "half a character": '[test]\nhost = "\\ud800"',
    "an escape": '[test]\nhost = "\\u001b[2J"',
    "a long key": "a" * 4000 + " = 1",
    "a list of tables": "[[listen]]\n[[listen]]",
    "twice": "[listen]\n[listen]",
    "no section": "listen = 5",
    "too large": "#" * (MAX_FILE + 1),
}


def within_a_second(text: str) -> Answers | str:
    began = time.monotonic()
    try:
        return parse(text)
    except AnswersError as error:
        return str(error)
    finally:
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_a_clear_error_at_once(name: str) -> None:
    said = within_a_second(TEXTS[name])
    assert isinstance(said, str)
    assert said.startswith("answers.toml")
    assert said.isprintable()
    assert len(said) < 400


def test_what_is_wrong_is_said() -> None:
    assert "far deeper" in str(within_a_second(TEXTS["arrays"]))
    assert "line 1: a key of more than 20 parts" in str(within_a_second(TEXTS["a header"]))
    assert "line 2: listen.ipv6: must be true or false, not so large a number" in str(
        within_a_second(TEXTS["4000 digits"])
    )
    assert "line 2: longer than 4096 characters" in str(within_a_second(TEXTS["5000 digits"]))


def test_what_is_only_long_is_read() -> None:
    addresses = [f"192.0.2.{number}" for number in range(200)] + ["127.0.0.1"]
    shown = ", ".join(f'"{each}"' for each in addresses)
    assert parse(f"[listen]\nsmtp = [{shown}]  # {'...' * 20} don't, 192.0.2.1.").listen.smtp == tuple(
        addresses
    )


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # as /dev/zero, which never ends


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 << 20)


def not_utf8(path: Path) -> None:
    path.write_bytes(b"[listen]\nipv6 = \xff\n")


def utf16(path: Path) -> None:
    path.write_text("[listen]\nipv6 = true\n", encoding="utf-16")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [fifo, folder, a_socket, device, huge, not_utf8, utf16, loop])
def test_what_is_no_answers_file_is_a_clear_error_at_once(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = tmp_path / "answers.toml"
    make(path)
    began = time.monotonic()
    with pytest.raises(AnswersError, match=r"answers\.toml: ") as caught:
        load(path)
    assert time.monotonic() - began < 1
    assert "there is no such file" not in str(caught.value)


@pytest.mark.parametrize("name", ["gone.toml", "gone/answers.toml", "x" * 300, "nul\0l", "file/answers.toml"])
def test_a_path_that_leads_nowhere_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AnswersError) as caught:
        load(tmp_path / name)
    assert str(caught.value).isprintable()


WHOLE = as_toml(Answers())


@settings(suppress_health_check=[HealthCheck.too_slow])
@example([(0, 0, '"')])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WHOLE)),
            st.integers(0, 60),
            st.text(alphabet="[]{}\"'.=,#\n\\x0e9 aT:-+_\0", max_size=12) | st.text(max_size=4),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_answers_that_changed_anywhere(edits: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for at, cut, new in edits:
        text = text[:at] + new + text[at + cut :]
    within_a_second(text)


@given(st.text(alphabet="[]{}\"'.=,\n ab1", max_size=300))
def test_any_text(text: str) -> None:
    within_a_second(text)
