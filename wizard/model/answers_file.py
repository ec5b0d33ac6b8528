"""answers.toml: read, and each of its values checked, with the line in the message where one is wrong."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from snapshots.visible import visible
from wizard.errors import AnswersError
from wizard.model.answer_checks import CHECKS, across, ending_id, shown
from wizard.model.answers import GROUPS, Answers, Section

SAVED = "/etc/msa-wizard/answers.toml"
"""Where the settings of this host are kept: every command reads them, and the screens save them there."""
MAX_FILE = 64 * 1024
_MAX_LINE = 4096
_MAX_DOTS = 20
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")
_SECTIONS = tuple(dict.fromkeys(section for section, _ in CHECKS))
_HOWTO = Answers()


def load(path: Path, base: Answers = _HOWTO) -> Answers:
    """The answers in the TOML file at `path`, over those of `base`. Raises AnswersError naming file, line, key and what
    is allowed."""
    try:
        return parse(_content(path).decode("utf-8"), str(path), base)
    except UnicodeDecodeError as error:
        why = f"{path}: not UTF-8 text (byte {error.start}). TOML is written in UTF-8."
        raise AnswersError(why) from error
    except FileNotFoundError:
        if path.is_symlink():
            where = visible(os.readlink(path))  # noqa: PTH115 - as it was written
            raise AnswersError(
                f"{visible(str(path))}: it is a symbolic link to {where}, which is not there."
            ) from None
        folder = path.absolute().parent
        way = f"`msa-wizard answers --output {path}` makes one"
        if not folder.is_dir():
            way = f"The folder {folder} is not there either: name the file where it is"
        raise AnswersError(f"{path}: there is no such file. {way}.") from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise AnswersError(f"{visible(str(path))}: cannot be read: {why}.") from error


def saved(path: Path = Path(SAVED)) -> Answers:
    """The settings of this host; the howto's own set-up where none were saved. Raises AnswersError, with a way on."""
    try:
        return load(path) if os.path.lexists(path) else Answers()
    except AnswersError as error:
        where = visible(str(path))
        way = f"Put that right, or move it away: `mv {where} {where}.old`. Without it the howto's own set-up counts."
        if isinstance(error.__cause__, PermissionError):
            way = f"Run it with sudo, or let everybody read the settings: `sudo chmod a+r {where}`."
        raise AnswersError(f"{error} {way}") from error


def _content(path: Path) -> bytes:
    """The bytes of a regular file. Never waits: not for the writer of a pipe, and not for a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AnswersError(f"{path}: not a regular file. Put the answers into a file of their own.")
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise AnswersError(f"{path}: larger than {MAX_FILE // 1024} KiB, which no answers file is.")
    return content


def parse(text: str, name: str = "answers.toml", base: Answers = _HOWTO) -> Answers:
    """The answers in `text`, and those of `base` where it has none; `name` is used in the error messages. Raises
    AnswersError."""
    _check_shape(text, name)
    try:
        return _parsed(text, name, base)
    except RecursionError:
        why = f"{name}: lists or tables within each other, far deeper than any answer has them."
        raise AnswersError(why) from None


def _check_shape(text: str, name: str) -> None:
    """Refuse what no answers file holds and the parser would work on for long: its time grows with the square of a key's
    parts. Raises AnswersError."""
    if len(text) > MAX_FILE:
        raise AnswersError(f"{name}: larger than {MAX_FILE // 1024} KiB, which no answers file is.")
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}, line {number}"
        if len(line) > _MAX_LINE:
            why = f"longer than {_MAX_LINE} characters, which no line of an answers file is."
            raise AnswersError(f"{where}: {why}")
        bare = _QUOTED.sub("", line).partition("#")[0]
        if max(part.count(".") for part in re.split(r"[={,]", bare)) > _MAX_DOTS:
            why = f"a key of more than {_MAX_DOTS} parts; the longest there is has two."
            raise AnswersError(f"{where}: {why}")


def _parsed(text: str, name: str, base: Answers) -> Answers:
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # or a number of thousands of digits, which Python does not read
        why = str(error) if isinstance(error, tomllib.TOMLDecodeError) else str(error).partition(";")[0]
        raise AnswersError(f"{name}: not valid TOML: {why}.") from error
    sections: dict[str, Section] = {}
    accept = _accept(name, text, data.pop("accept", list(base.accept)))
    for section, values in data.items():
        if section not in _SECTIONS:
            raise _Wrong(name, text, section, "", f"unknown section{_nearest(section, _SECTIONS)}")
        if not isinstance(values, dict):
            raise _Wrong(name, text, section, "", f"[{section}] must be a section with keys")
        sections[section] = _section(name, text, section, values, getattr(base, section))
    answers = replace(base, **sections, accept=accept)  # type: ignore[arg-type]
    for key, why in across(answers.listen):
        raise _Wrong(name, text, "listen", key, why)
    if answers.login.policy == GROUPS and not answers.login.groups:
        why = f'policy = "{GROUPS}" needs the names of one or more groups'
        raise _Wrong(name, text, "login", "groups", why)
    return answers


def _accept(name: str, text: str, value: object) -> tuple[str, ...]:
    try:
        names = _typed(value, ())
        assert isinstance(names, tuple)
        return tuple(dict.fromkeys(ending_id(each) for each in names))
    except ValueError as error:
        raise _Wrong(name, text, "accept", "", str(error)) from error


class _Wrong(AnswersError):
    def __init__(self, name: str, text: str, section: str, key: str, why: str) -> None:
        where = f"{section}.{key}" if key else section
        super().__init__(f"{name}, line {_line(text, section, key)}: {visible(where, 80)}: {why}.")


def _section(name: str, text: str, section: str, values: dict[str, object], base: Section) -> Section:
    known = {each.name: each for each in fields(base)}
    checked: dict[str, object] = {}
    for key, value in values.items():
        if key not in known:
            raise _Wrong(name, text, section, key, f"unknown key{_nearest(key, known)}")
        try:
            checked[key] = CHECKS[section, key](_typed(value, getattr(base, key)))
        except ValueError as error:
            raise _Wrong(name, text, section, key, str(error)) from error
    return replace(base, **checked)  # type: ignore[arg-type]


def _typed(value: object, default: object) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {shown(value)}")
        return value
    if isinstance(default, int):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number such as {default}, not {shown(value)}")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f'must be a list of strings such as ["..."], not {shown(value)}')
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string in quotes, not {shown(value)}")
    return value


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?  Known: {', '.join(names)}" if near else f"; known: {', '.join(names)}"


def _line(text: str, section: str, key: str) -> int:
    """The line of `section.key`, for messages; tomllib does not keep it."""
    inside = not key
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[\s*[\"']?([^\"'\]]+?)[\"']?\s*\]", line)
        if head:
            inside = head.group(1) == section
            if inside and not key:
                return number
        elif (inside and re.match(rf"\s*[\"']?{re.escape(key or section)}[\"']?\s*[=.]", line)) or re.match(
            rf"\s*{re.escape(section)}\s*[=.]", line
        ):
            return number
    return 1
