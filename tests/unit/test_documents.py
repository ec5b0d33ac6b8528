"""The documents are true: commands, links, examples, codes and citations are held against the program."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs import generate
from tests.unit.named_commands import ANY, complaints, every_file, examples, misused, sentences, unquoted
from tests.unit.steps.recorded import file, machine
from tests.unit.troubleshoot.pictures import CF, picture
from wizard import errors
from wizard.changes.file import FileChange
from wizard.cli.parser import parser
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Step
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.troubleshoot import diagnoses
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.verdict import judge

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"
README = TOP / "README.md"
PAGES = sorted([*TOP.glob("*.md"), *DOCS.rglob("*.md")])
PRODUCT = ("wizard", "screens", "snapshots", "templates")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:wizard|screens|snapshots|templates|tests|docs)/[\w./-]+)`")


def named(pages: list[Path]) -> list[Any]:
    return [pytest.param(page, id=str(page.relative_to(TOP))) for page in pages]


@pytest.mark.parametrize("page", named(PAGES))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    lost = []
    for target in _LINK.findall(page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    lost += [path for path in _PATH.findall(page.read_text()) if not (TOP / path).exists()]
    assert lost == []


def anchors(page: Path) -> set[str]:
    """As the usual web pages of repositories make them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", named(PAGES))
def test_commands_in_documents_are_commands(page: Path) -> None:
    text = page.read_text()
    wrong = [misused(line) for line in examples(text) if "msa-wizard" in line]
    assert [each for each in wrong if each] == []
    assert list(complaints(text, prose=False)) == []


def test_commands_in_sentences_of_the_program_are_commands() -> None:
    wrong = [
        f"{path.relative_to(TOP)}: {complaint}"
        for path in every_file(TOP, PRODUCT)
        for text in sentences(path)
        for complaint in complaints(text, prose=True)
    ]
    assert wrong == []


def test_a_command_in_a_sentence_stands_in_backquotes() -> None:
    """By which it is not broken over two lines."""
    texts = [text for path in every_file(TOP, PRODUCT) for text in sentences(path)]
    assert [each for text in texts for line in text.splitlines() for each in unquoted(line)] == []
    assert unquoted("now run msa-wizard status") == ["msa-wizard status"]


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("first run `msa-wizard recover`", True),
        ("first run `msa-wizard recuperate`", False),
        (f"`msa-wizard rollback {ANY}` and `recover --finish`", True),
        ("`recover --finnish`", False),
        ("`msa-wizard apply --yess`", False),
        ("`msa-wizard plan submission`", False),
        ("Another msa-wizard is at work", True),
        ("on the machine: msa-wizard tset --user alice", False),
        ("now msa-wizard test --user NAME. It ends in 235", True),
        ("now msa-wizard test --usr NAME. It ends in 235", False),
        ("`msa-wizard certificate shove`", False),
    ],
)
def test_a_wrong_command_in_a_sentence_is_noticed(sentence: str, right: bool) -> None:
    assert (list(complaints(sentence, prose=True)) == []) is right


@pytest.mark.parametrize("page", named([README, DOCS / "manual.md"]))
def test_the_output_that_is_shown_is_in_the_programs_words(page: Path) -> None:
    said = " ".join(" ".join(text.split()) for path in every_file(TOP, PRODUCT) for text in sentences(path))
    output = "\n".join(re.findall(r"^    (?!(?:\$ )?\./)(.*)$", page.read_text(), re.MULTILINE))
    words = r"[A-Za-z](?:[A-Za-z',]| (?! )|(?<=[a-z])-(?=[a-z]))*[a-z]"
    phrases = [each for each in re.findall(words, output.replace("alice", ANY)) if len(each.split()) > 3]
    assert len(phrases) > 4
    assert [each for each in phrases if each not in said] == []


def test_the_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []


def test_the_reference_is_current() -> None:
    """Else: ./tests/tool python -m docs.generate"""
    assert generate.REFERENCE.read_text() == generate.reference()
    assert generate.SCHEMA.read_text() == generate.schema_text()
    assert generate.WORDS_PAGE.read_text() == generate.glossary()


def test_the_reference_lists_all_endings_that_the_program_has() -> None:
    section = generate.REFERENCE.read_text().partition("\n## What --accept takes\n")[2]
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(ids_of_endings())


def ids_of_endings() -> set[str]:
    """The strings that calls of Ending begin with, given there or by a constant of the same file."""
    first: set[str] = set()
    for path in (TOP / "wizard").rglob("*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Ending":
                argument = node.args[0]
                first.add(
                    ast.literal_eval(constants[argument.id] if isinstance(argument, ast.Name) else argument)
                )
    return first


def test_no_diagnosis_is_left_out() -> None:
    """Those that stand in a room of theirs, and not in the list of all, would never be asked."""
    rooms = pkgutil.iter_modules(diagnoses.__path__, f"{diagnoses.__name__}.")
    written = [
        each
        for room in rooms
        if not room.name.endswith(".order")
        for value in vars(importlib.import_module(room.name)).values()
        for each in (value if isinstance(value, tuple) else (value,))
        if isinstance(each, Diagnosis)
    ]
    assert {each.id for each in written} == {each.id for each in DIAGNOSES}
    assert len({each.id for each in DIAGNOSES}) == len(DIAGNOSES)


def test_the_manual_has_every_command() -> None:
    headings = " ".join(re.findall(r"^## (.*)$", (DOCS / "manual.md").read_text(), re.MULTILINE)).split()
    assert {name.split()[0] for name in generate.commands()} <= set(headings)


def test_the_keys_on_the_steps_are_bound() -> None:
    from screens.app import WizardApp
    from screens.steps import Steps

    names = {"?": "question_mark", "/": "slash", "esc": "escape"}
    keys = {key for owner in (WizardApp, Steps) for key in owner._merge_bindings().key_to_bindings}
    keys.add(WizardApp.COMMAND_PALETTE_BINDING)
    shown = re.findall(r"^\| ([^|]+) \| (?!does)", (DOCS / "screens.md").read_text(), re.MULTILINE)
    pressed = [key.lower() for row in shown for key in re.split(r", | to ", row)]
    assert {"enter", "z", "f10", "/"} <= set(pressed)
    assert [key for key in pressed if names.get(key, key) not in keys] == []


def test_the_steps_are_all_described() -> None:
    described = re.findall(r"^\| `([\w-]+)` \|", (DOCS / "server.md").read_text(), re.MULTILINE)
    assert described == [step.id for step in STEPS]


def test_the_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    assert {int(code): words for code, words in rows} == errors.EXIT_CODES
    assert all(f"{code} {words}" in (parser().epilog or "") for code, words in errors.EXIT_CODES.items())

    def codes(kind: type[errors.WizardError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    assert codes(errors.WizardError) <= set(errors.EXIT_CODES)


def test_every_dependency_has_its_reason() -> None:
    text = (DOCS / "dependencies.md").read_text()
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (TOP / "requirements.txt").read_text(), re.MULTILINE))
    for wanted in project["project"]["dependencies"]:
        name = re.split(r"[=<>]", wanted)[0]
        assert f"| {name} |" in text, name
        assert re.search(rf"\| {re.escape(name)} \|.*\| {re.escape(pins[name.lower()])} \|", text), name
    for group in project["dependency-groups"].values():
        for name in group:
            assert re.search(rf"\| (.*, )?{re.escape(name)}(, .*)? \|", text), name


def test_every_room_is_in_the_architecture() -> None:
    rows = re.findall(r"^\| `([\w/.]+)` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    rooms = {f"wizard/{path.parent.name}" for path in (TOP / "wizard").glob("*/__init__.py")}
    assert rooms | {"screens", "snapshots", "templates"} == {row for row in rows if not row.endswith(".py")}


def test_every_decision_is_in_the_index() -> None:
    folder = DOCS / "decisions"
    index = (folder / "README.md").read_text()
    assert [
        path.name for path in folder.glob("*.md") if path.name != "README.md" and path.name not in index
    ] == []


def test_what_the_code_cites_is_there() -> None:
    debian = (DOCS / "debian.md").read_text()
    traps = set(re.findall(r"^### Trap (\d+):", debian, re.MULTILINE))
    sections = set(re.findall(r"^## (\w+)", debian, re.MULTILINE))
    lost = []
    for path in every_file(TOP, PRODUCT):
        text = " ".join(path.read_text().split())
        lost += [
            f"{path.name}: {page}"
            for page in re.findall(r"\bdocs/[\w/-]+\.md", text)
            if not (TOP / page).exists()
        ]
        lost += [
            f"{path.name}: trap {each}"
            for each in re.findall(r"\bdebian\.md trap (\d+)", text)
            if each not in traps
        ]
        lost += [
            f"{path.name}: {each}"
            for each in re.findall(r"\bdebian\.md section (\w+)", text)
            if each not in sections
        ]
        lost += [
            f"{path.name}: {each}"
            for each in re.findall(r"\bDEBIAN\.md\b", text)
            if not (TOP / each).exists()
        ]
    assert lost == []


def example(page: str) -> dict[str, Any]:
    """What the Python code of a page defines."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    defined: dict[str, Any] = {"__name__": page}
    exec(compile(code, page, "exec", dont_inherit=True), defined)  # noqa: S102  (a page of ours)
    return defined


@pytest.mark.parametrize("release", ["12", "13", "14"])
def test_the_step_that_is_shown_plans(release: str) -> None:
    (step,) = [
        kind()
        for kind in example("writing-a-step.md").values()
        if isinstance(kind, type) and issubclass(kind, Step) and kind is not Step
    ]
    before = machine(release)
    plan = step.plan(before, Answers())
    assert plan.outcome is Outcome.PENDING
    (change,) = plan.changes
    assert isinstance(change, FileChange)
    assert "+THREADS=8" in change.describe().diff.replace('"', "")
    there: Facts = machine(release, files={f.SASLAUTHD_DEFAULT: change.after})
    assert step.plan(there, Answers()).outcome is Outcome.DONE
    assert [check.sign for check in step.verify(Host(), there, Answers())] == ["ok"]
    assert [check.sign for check in step.verify(Host(), before, Answers())] == ["failed"]


def test_the_diagnosis_that_is_shown_finds_its_fault() -> None:
    diagnoses = example("writing-a-diagnosis.md")["DIAGNOSES"]
    assert judge(picture(), diagnoses).faults == ()
    small = f"{CF}O MaxMessageSize=200000\n"
    (fault,) = judge(picture(facts={"files": {f.SENDMAIL_CF: file(small)}}), diagnoses).faults
    assert (fault.id, fault.sign) == ("small-messages", "warning")


def test_pre_commit_fetches_nothing() -> None:
    text = (TOP / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    for tool in re.findall(r"entry: (\S+)", text):
        assert (TOP / tool).exists(), tool


def test_no_page_names_this_workplace() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout
    assert [
        name for name in tracked.split() if (TOP / name).exists() and "/work/" in (TOP / name).read_text()
    ] == []
