"""The files that make a folder a git repository around its objects: config, HEAD, refs. All are known beforehand, so
they are put back when they are damaged or gone; what they were is kept."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

FORMAT = 1
CONFIG: tuple[tuple[str, str, str], ...] = (
    ("core", "fsync", "all"),
    ("core", "hooksPath", "/dev/null"),
    ("core", "attributesFile", "/dev/null"),
    ("core", "excludesFile", "/dev/null"),
    ("commit", "gpgSign", "false"),
    ("gc", "auto", "0"),
    ("gc", "autoDetach", "false"),
    ("maintenance", "auto", "false"),
    ("fastimport", "unpackLimit", "1"),
    ("msa-wizard", "format", str(FORMAT)),
)
"""What is in config beside what `git init` writes: section, option, value."""

_LARGEST = 64 * 1024
DAMAGED = "damaged"
"""The folder in a store that keeps what was damaged."""
_SECTION = re.compile(r"\[([A-Za-z0-9.-]+)(?:[ \t]+\"[^\"\\\n]*\")?\][ \t]*\Z")
_OPTION = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*([^\"\\]*?)[ \t]*\Z")
_NEEDED = {"core.repositoryformatversion": ("0",), "core.bare": ("true",)}
_OURS = (
    {f"{section}.{option}".lower(): (value,) for section, option, value in CONFIG}
    | _NEEDED
    | {
        f"core.{name}": ("true", "false")
        for name in ("filemode", "symlinks", "ignorecase", "precomposeunicode")
    }
)
_HARMLESS = ("user.", "alias.", "color.")
"""What an admin may have added: git reads it, and does nothing else for it here."""
_NUMBER = "msa-wizard.format"
_HEAD = re.compile(rb"ref: refs/heads/[A-Za-z0-9._/-]+\n?\Z|[0-9a-f]{40}\n?\Z")
_PACKED = re.compile(rb"(?:#[^\n]*\n|(?:[0-9a-f]{40} refs/[^\s]+|\^[0-9a-f]{40})\n)*\Z")


def environment() -> dict[str, str]:
    """What every git of ours finds in its environment, and nothing else: no configuration of the user or the machine."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def frame_faults(path: Path) -> dict[str, str]:
    """What is wrong with each, in words by its name; nothing for a folder without objects, which is no store."""
    if not _is_folder(path / "objects"):
        return {}
    looks: dict[str, Callable[[bytes], object]] = {
        "config": _is_sound_config,
        "HEAD": _HEAD.match,
        "packed-refs": _PACKED.match,
    }
    faults = {name: fault_of_file(path / name, is_sound) for name, is_sound in looks.items()}
    if faults["packed-refs"] == "is missing":  # as it should be, until git packs them
        faults["packed-refs"] = ""
    if not _is_folder(path / "refs/heads"):
        faults["refs"] = "is no folder" if _is(path / "refs") else "is missing"
    return {name: fault for name, fault in faults.items() if fault}


def put_back(path: Path, faults: dict[str, str], whole: Path) -> None:
    """Put what has a fault back, as it is in `whole`, a repository just made; the old goes to `damaged`. Raises OSError."""
    kept = path / DAMAGED
    kept.mkdir(mode=0o700, exist_ok=True)
    for name in faults:
        if _is(path / name):
            (path / name).rename(kept / f"{name}-{os.urandom(4).hex()}")
        if name == "refs":
            (path / "refs/heads").mkdir(mode=0o700, parents=True)
        elif _is(whole / name):
            (whole / name).rename(path / name)


def read_regular(path: Path) -> bytes:
    """The bytes of a small regular file; nothing else is waited for, or followed. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no regular file")
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("is far too large")
    return content


def read_options(path: Path) -> dict[str, str]:
    """What is in config, by `section.option` in lower case. Raises OSError, ValueError."""
    return _options(read_regular(path / "config").decode("utf-8"))


def fault_of_file(path: Path, is_sound: Callable[[bytes], object]) -> str:
    """What is wrong with a small file, in words; empty where its content is sound."""
    try:
        return "" if is_sound(read_regular(path)) else "is damaged"
    except UnicodeDecodeError:
        return "is damaged"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return str(error)


def _is_sound_config(content: bytes) -> bool:
    """Of a stricter form than git's, in which we write it; another format than ours is no fault, but not for
    us. Raises ValueError for what is no text, and for a line that is no option."""
    options = _options(content.decode("utf-8"))
    if options.get(_NUMBER, "").isdecimal() and options[_NUMBER] != str(FORMAT):
        return True
    strange = [name for name in options if name not in _OURS and not name.startswith(_HARMLESS)]
    wrong = [name for name in options if name in _OURS and options[name] not in _OURS[name]]
    lacking = [name for name in (*_NEEDED, _NUMBER) if name not in options]
    return not (strange or wrong or lacking)


def _options(text: str) -> dict[str, str]:
    """The options by section and name, both in lower case. Raises ValueError for a line that is none."""
    options: dict[str, str] = {}
    section = ""
    for line in text.split("\n"):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if head := _SECTION.match(line):
            section = head[1].lower()
        elif section and (option := _OPTION.match(line)):
            options[f"{section}.{option[1].lower()}"] = option[2]
        else:
            raise ValueError("is damaged")
    return options


def _is(path: Path) -> bool:
    return os.path.lexists(path)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
