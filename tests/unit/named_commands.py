"""Commands of msa-wizard as documents and sentences of the program name them, held against the parser."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from docs.generate import commands
from wizard.steps.order import STEPS
from wizard.troubleshoot.diagnoses.order import DIAGNOSES

ANY = "\0"
"""What is only known when the sentence is made."""
PROSE = frozenset(
    "applied at back before changed contributors did ends from has have is itself makes may out sent so stat was were writes".split()  # noqa: SIM905
)
"""Words behind the program's name in a sentence about it."""
_COMMANDS = commands()
_GROUPS = {name.split()[0] for name in _COMMANDS if " " in name}
_STEPS = {step.id for step in STEPS}
_IDS = {"apply": _STEPS, "plan": _STEPS, "rehearse": _STEPS}
_QUOTED = re.compile(r"`([^`]+)`")
_NAMED = re.compile(r"(?:\./)?msa-wizard[ \n]+([^`\n]*)")
_EXAMPLE = re.compile(r"^    (?:\$ )?((?:\./)?msa-wizard\b.*|\./tests/run\b.*)$", re.MULTILINE)


def complaints(text: str, *, prose: bool) -> Iterator[str]:
    """What is wrong with the commands that `text` names: in backquotes, and in its prose where `prose` is set."""
    for quoted in _QUOTED.findall(text):
        words = _words(quoted)
        if words[:1] in (["msa-wizard"], ["./msa-wizard"]):
            yield from _complaint(words[1:], quoted)
        elif (
            words and words[0] in _COMMANDS.keys() | _GROUPS and any(word.startswith("--") for word in words)
        ):
            yield from _complaint(words, quoted)
    for rest in _NAMED.findall(_QUOTED.sub(" ", text)) if prose else ():
        words = _words(re.split(r"[.;:,)](?:\s|$)", rest)[0])
        if words and words[0].rstrip(".,") not in PROSE:
            yield from _complaint(words, rest, exact=False)


def unquoted(line: str) -> list[str]:
    """The commands of msa-wizard that stand in a line of words without backquotes: where it is wrapped, they break."""
    after = re.finditer(r"(?<=\S )(?:\./)?msa-wizard ([\w-]+)", _QUOTED.sub("``", line))
    whole = line.startswith("msa-wizard ")
    return [each[0] for each in after if each[1] in _COMMANDS.keys() | _GROUPS and not whole]


def _words(text: str) -> list[str]:
    return text.replace(ANY, f" {ANY} ").split()


def _complaint(words: list[str], shown: str, *, exact: bool = True) -> Iterator[str]:
    if not words or not re.match(r"(--)?\w[\w-]*\W*$", words[0]):
        return
    name, rest = words[0].rstrip(".,:;!?)"), words[1:]
    if name.startswith("--"):
        if name not in ("--version", "--help"):
            yield f"no such option: {shown}"
        return
    if name in _GROUPS:
        name, rest = " ".join(words[:2]), words[2:]
        if len(words) == 1 or words[1] == ANY:
            return
    parser = _COMMANDS.get(name)
    if parser is None:
        yield f"no such command: {shown}"
        return
    for word in rest:
        option = re.match(r"--[\w-]+", word)
        if option and option[0] not in parser._option_string_actions:
            yield f"no such option of {name}: {shown}"
    if exact and not any(word.startswith("--") for word in rest):
        for word in rest:
            if not re.match(r"[a-z]", word):
                continue
            if name in _IDS and word not in _IDS[name]:
                yield f"no such step: {shown}"


def examples(text: str) -> list[str]:
    """The command lines that a document shows, in order, without their comments."""
    return [re.sub(r"\s+#.*", "", line).strip() for line in _EXAMPLE.findall(text)]


def misused(line: str) -> str:
    """What the parser says of a whole command line, empty where it takes it."""
    words = shlex.split(re.split(r"\s[<>]\s", line)[0])[1:]
    if not words or words == ["--version"]:
        return ""
    name = " ".join(words[:2]) if words[0] in _GROUPS else words[0]
    parser = _COMMANDS.get(name)
    if parser is None:
        return f"no such command: {line}"
    parser.exit_on_error = False
    try:
        left = parser.parse_known_args(words[len(name.split()) :])[1]
    except (argparse.ArgumentError, SystemExit) as error:
        return f"{line}: {error}"
    if left:
        return f"{line}: {left}"
    fixes = {item.id for item in DIAGNOSES} | {"all"}
    if name == "troubleshoot" and "--fix" in words and words[words.index("--fix") + 1] not in fixes:
        return f"no such diagnosis: {line}"
    return ""


def sentences(path: Path) -> Iterator[str]:
    """The texts of a Python file, in which ANY stands for what is put in later; or the text of any other file."""
    if path.suffix != ".py":
        yield re.sub(r"\{\{.*?\}\}", ANY, path.read_text(), flags=re.DOTALL)
        return
    tree = ast.parse(path.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_literal(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def _literal(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ANY


def every_file(top: Path, folders: Iterable[str]) -> Iterator[Path]:
    """The Python files and templates of these folders."""
    for folder in folders:
        for path in sorted((top / folder).rglob("*")):
            if path.suffix in (".py", ".j2"):
                yield path
