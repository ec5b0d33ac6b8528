"""One word for one thing, in every sentence of the program and of its documents: those that a reader stumbled over are
not said any more."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.steps.recorded import machine
from wizard.cli.options import steps_of
from wizard.errors import UsageError
from wizard.model.answers import Answers
from wizard.steps.order import step

ROOT = Path(__file__).parents[2]

SAID_OTHERWISE = {
    r"\bta(?:ke|kes|ken|king) (?:\w+ )?back\b": "roll back",
    r"\bput(?:s|ting)? (?:\w+ )?back\b": "restore, or undo",
    r"\bto blame\b": "the cause",
    r"(?<![\w/.`*])mend(?:s|ed|ing)?\b(?![-`(/])": "fix",
    r"\b(?:line|connection) drops\b|\bdropped (?:line|connection)\b": "the connection is lost",
    r"\b(?:certificates|ones|those) in between\b": "the intermediate certificates",
    r"\bof an authority\b(?! of)": "from an authority",
    r"\bbelongs? into\b": "put it into",
    r"\bstays? lying\b": "is never delivered",
    r"\bin this point\b": "in this respect",
    r"\bstands? in the way\b": "say what prevents it",
    r"\b(?:what|whatever) it comes to\b": "say what it would do",
    r"\bIt takes little\b": "it takes a little",
    r"\bended without an end\b|\bcome to its end\b": "did not finish",
    r"\bhost is whole\b": "the host is consistent",
    r"(?:^|\. )(?:Wrong|Empty): ": "if this is wrong; leave empty to ...",
    r"\bwho has logged in may\b": "users who have logged in",
    r"\bcertificate\w* (?:\w+ )?ends?\b|\bends on (?:\d|\{)": "it expires",
    r"\b(?:MTA|daemon|service|sendmail|saslauthd) (?:would )?ends?\b(?! (?:in|up|with 0)\b)": "it exits, fails or stops",
    r"\bfor reading alone\b": "read-only",
    r"\bno plain file\b": "is not a regular file",
    r"\banew\b": "again",
    r"\bit can plan, and not apply\b": "you can plan but not apply",
    r"\b587 and 25 are opened in\b": "the firewall in which to open ports 587 and 25",
    r"\bhas it in its own store\b": "clients that have not been given it will refuse it",
    r"\bEnter goes on\b": "Enter continues",
    r"\b(?:Enter|Esc|Escape)\b[^.]* leave it\b": "they cancel",
}
"""By a pattern: what is said in its place. Ids of steps (`mend-...`), names of modules and of JSON's keys keep theirs."""


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """Where, and the words: the literals of the program but for docstrings, its templates, and the documents."""
    found: list[tuple[str, str]] = []
    for path in sorted((*ROOT.glob("wizard/**/*.py"), *ROOT.glob("screens/**/*.py"))):
        found += [(f"{path.relative_to(ROOT)}:{line}", words) for line, words in _literals(path)]
    fleet = (path for path in ROOT.glob("templates/fleet/**/*.*") if path.is_file())
    pages = (
        *ROOT.glob("templates/*.j2"),
        *fleet,
        *ROOT.glob("docs/*.md"),
        ROOT / "README.md",
        ROOT / "SECURITY.md",
    )
    found += [(str(path.relative_to(ROOT)), " ".join(_prose(path.read_text()).split())) for path in pages]
    return tuple(found)


def _prose(page: str) -> str:
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def _literals(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    explaining = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explaining:
            words = " ".join(node.value.split())
            if " " in words:
                yield node.lineno, words


@pytest.mark.parametrize("pattern", SAID_OTHERWISE, ids=SAID_OTHERWISE.values())
def test_it_is_said_in_other_words(pattern: str) -> None:
    wrong = [
        f"{where}: {words[max(0, hit.start() - 40) : hit.end() + 40]}"
        for where, words in sentences()
        for hit in re.finditer(pattern, words)
    ]
    assert not wrong, f"say {SAID_OTHERWISE[pattern]}"


def test_the_sentences_are_found() -> None:
    words = [words for _, words in sentences()]
    assert "Without it every login is refused with `535`. It must run now, and after the next boot." in words
    assert any(each.startswith("# msa-wizard") for each in words)


def test_an_error_is_made_of_whole_sentences() -> None:
    with pytest.raises(UsageError, match=r"^there is no step 'nosuch'\. Steps: preflight, install, "):
        steps_of(["nosuch"])
    with pytest.raises(UsageError, match=r"^there is no step 'instal'; did you mean install\? Steps: "):
        steps_of(["instal"])


def test_a_reason_goes_on_where_because_stands() -> None:
    assert (
        step("firewall").plan(machine("12"), Answers()).reason == "no firewall program was found on this host"
    )


_COUNTED = re.compile(
    r"(?:^|[ (:])\0(?: more| lines?| of)? (?:steps|files|lines|packages|commits|times|faults|warnings|connections|messages|days|"
    r"users|bytes|addresses|paths|checks|logins|handshakes|clones|failures)\b"
)


def _formatted(path: Path) -> Iterator[tuple[int, str]]:
    """The f-strings, with a NUL for each value that is no constant of the module and does not come from `count`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = []
            for part in node.values:
                value = part.value if isinstance(part, ast.FormattedValue) else part
                if isinstance(value, ast.Constant):
                    parts.append(str(value.value))
                else:
                    name = ast.unparse(value)
                    parts.append(
                        "many" if name.startswith("count(") or name.split(".")[-1].isupper() else "\0"
                    )
            yield node.lineno, "".join(parts)


def test_whatever_is_counted_is_one_thing_or_several() -> None:
    """`1 step`, `2 steps`: console.count says it everywhere."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in sorted((*ROOT.glob("wizard/**/*.py"), *ROOT.glob("screens/**/*.py")))
        for line, words in _formatted(path)
        if _COUNTED.search(words)
    ]
    assert not wrong
    assert not [
        page.name for page in ROOT.glob("templates/*.j2") if re.search(r"length *\}\} \w", page.read_text())
    ]
