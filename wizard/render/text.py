"""Plans, events and checks as text for people. Plain ASCII of our own; what comes from outside is cleaned."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wizard import log
from wizard.console import (
    clean,
    clean_block,
    command,
    count,
    error,
    fold,
    is_command,
    out,
    terminal_columns,
    typed,
)
from wizard.engine import in_force
from wizard.model.events import (
    Checked,
    Drifted,
    Event,
    Failed,
    Output,
    Planned,
    Progress,
    Recorded,
    Report,
    RolledBack,
)
from wizard.model.plan import (
    NOT_NOW,
    UNKNOWN,
    UNTESTED,
    Change,
    Check,
    Ending,
    Outcome,
    Plan,
    Sign,
    Step,
    ids,
)

if TYPE_CHECKING:
    from snapshots.merge.path_merge import Conflict
    from snapshots.store import Commit, Store
    from wizard.engine.summary import Summary
    from wizard.model import documents
    from wizard.rollback.plan import Rollback

DIFF_INDENT = "     "
_DEEP = " " * 15
_ENDLESS = 1 << 20
SIGNS = {
    Sign.OK: "[ok]   ",
    Sign.WARNING: "[warn] ",
    Sign.FAILED: "[FAIL] ",
    Sign.UNKNOWN: "[?]    ",
    Sign.PENDING: "[to do]",
}
SIGN_WORDS = {
    Sign.OK: "ok",
    Sign.WARNING: "warning",
    Sign.FAILED: "FAILED",
    Sign.UNKNOWN: "unknown",
    Sign.PENDING: "to do",
}
"""The same in a text of Markdown; JSON keeps its own words."""
SIDES = {"server": "<", "client": ">", "log": "|"}
_STATES = {UNKNOWN: "unknown:", UNTESTED: "to test:", NOT_NOW: "not now:"}
_WORDS = {
    Outcome.PENDING: "to do:",
    Outcome.DONE: "already done:",
    Outcome.NOT_APPLICABLE: "n/a:",
    Outcome.LATER: "decided later:",
    Outcome.BLOCKED: "BLOCKED:",
}


def plan_text(step: Step, plan: Plan) -> str:
    """One step's plan: why, what, diffs, commands, notes."""
    lines = [f"== {step.id}: {step.title}" + (f"  (howto {step.howto})" if step.howto else "")]
    if plan.outcome in (Outcome.PENDING, Outcome.LATER) and plan.word != NOT_NOW:
        lines += _wrap(f"why: {step.why}")
    reports = step.reports and plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE)
    lines += _wrap(
        f"{'changes nothing:' if reports else _STATES.get(plan.word) or _WORDS[plan.outcome]} {plan.reason}"
    )
    lines += [line for change in plan.changes for line in _change(change)]
    lines += [line for note in plan.notes for line in _wrap(f"note: {note}")]
    if plan.remedy:
        lines += ["   what to do:", *(line for each in plan.remedy for line in _remedy(each))]
    lines += [line for ending in plan.ends for line in _ending(ending)]
    return "\n".join(clean(line) for line in lines)


def _remedy(line: str) -> list[str]:
    """A command stays in one piece, to be pasted."""
    return [f"      {line}"] if is_command(line) else _wrap(line, "      ")


def _ending(ending: Ending) -> list[str]:
    return [
        *_wrap(f"WOULD END [{ending.id}]: {ending.sentence}"),
        *(f"     | {line}" for line in ending.lines),
    ]


def endings_text(ends: Sequence[Ending]) -> str:
    """What would end: a sentence each, and the lines below it."""
    return "\n".join(clean(line) for ending in ends for line in _ending(ending))


def reason_text(plan: Plan) -> str:
    """Why, and the names of what would end with it."""
    names = ", ".join(ids(plan.ends))
    return f"{plan.reason} (WOULD END: {names})" if names else plan.reason


def changes_text(changes: Iterable[Change]) -> str:
    """What is changed: diffs and commands."""
    return "\n".join(clean(line) for change in changes for line in _change(change))


def _change(change: Change) -> list[str]:
    shown = change.describe()
    lines = [line for each in shown.commands for line in typed(each, None, DIFF_INDENT)]
    lines += [f"{DIFF_INDENT}{line}" for line in shown.diff.splitlines()]
    return [
        *_wrap(f"* {shown.title}"),
        *lines,
        *(line for text in shown.details for line in _wrap(text, "     ")),
    ]


def _wrap(text: str, indent: str = "   ") -> list[str]:
    return fold(text, indent, f"{indent}  ")


def rollback_text(
    rollback: Rollback,
    *,
    warn: bool = True,
    whole: bool = True,
    lists: str = "`-v` or `--dry-run` lists them",
) -> str:
    """What a rollback would do: first what it lays open or ends, unless that is shown elsewhere; what goes together, each change,
    what follows, what stays. Many paths are only counted unless it is to be the `whole`; `lists` says how to see them."""
    target = rollback.target
    lines = _warnings(rollback) if warn else []
    lines += fold(f"== roll back {target.words}", "", "   ")
    lines += [f"   {commit.short}  {commit.subject}" for commit in target.commits]
    if target.dependents:
        lines += _wrap(f"rolled back too, because they need it: {', '.join(target.dependents)}")
    for change in rollback.changes:
        if not (rollback.packages and change.kind == "file"):
            lines += _change(change)
    lines += _many_files(rollback, "" if whole else lists) if rollback.packages else []
    notes = [f"note: {note}" for note in (*rollback.reversal.notes, *rollback.follows())]
    stays = [f"STAYS: {left}" for left in rollback.left]
    lines += [line for text in (*notes, *stays) for line in _wrap(text)]
    return "\n".join(clean(line) for line in lines)


def rollback_summary(rollback: Rollback) -> str:
    """The same in a few words, for the line above a question; and what it lays open or ends."""
    packages, (goes, comes, changes) = rollback.packages, _sides(rollback)
    parts = [f"{count(len(packages.came), 'package')} purged"] if packages and packages.came else []
    parts += [f"{count(len(packages.gone), 'package')} installed again"] if packages and packages.gone else []
    for words, paths in (("removed", goes), ("brought back", comes), ("changed back", changes)):
        parts += [f"{count(len(paths), 'path')} {words}"] if paths else []
    lines = fold(f"In short: roll back {rollback.target.words}: {', '.join(parts) or 'no file changes'}.")
    return "\n".join(map(clean, [*lines, *_warnings(rollback)]))


def _warnings(rollback: Rollback) -> list[str]:
    return [line for each in rollback.warnings for line in fold(each, "!! ", "   ")]


def _sides(rollback: Rollback) -> tuple[list[str], list[str], list[str]]:
    """The paths that are removed, brought back, changed back."""
    sides = [(change.path, change.before, change.after) for change in rollback.files]
    goes = [path for path, _, after in sides if after is None]
    comes = [path for path, before, after in sides if before is None and after is not None]
    return goes, comes, [path for path, before, after in sides if before is not None and after is not None]


def _many_files(rollback: Rollback, counted: str) -> list[str]:
    """Only the paths where packages are removed: there are some hundred of them, and most go with the packages. Many are
    `counted` where that says how to see them."""
    lines = []
    for words, paths in zip(
        ("remove", "bring back", "roll back the changes in"), _sides(rollback), strict=True
    ):
        some = ", ".join(sorted(paths))
        if len(paths) > _FEW and counted:
            some = f"{count(len(paths), 'path')} ({counted})"
        lines += _wrap(f"* {words} {some}") if paths else []
    return lines


_FEW = 12
"""Paths that are listed, and not counted, above a question."""


def conflict_text(conflict: Conflict) -> str:
    """A conflict: the path, what of it, and the hunks; of a deletion what was changed there since, and certificates in words."""
    path, lines = f"/{clean(conflict.path)}", conflict.text.splitlines()
    if conflict.sides:
        from wizard.changes.file import file_diff  # slow to import, seldom needed

        lines = ["as it is now (-), as it was before (+):"] if conflict.what == "content" else lines
        lines += file_diff(f"/{conflict.path}", *conflict.sides).splitlines()
    return "\n".join([f"conflict in {path} ({conflict.what}):", *(f"  {clean(line)}" for line in lines)])


def check_text(check: Check) -> str:
    """A check as a line with its sign; what to do is below it unless all is well."""
    lines = [f"   {SIGNS[check.sign]} {clean(check.says)}"]
    if check.remedy and check.sign is not Sign.OK:
        for each in map(clean, check.remedy.splitlines()):
            if each[:1] == " ":
                lines += command(each.strip(), None, _DEEP, f"{_DEEP}  ")
            elif each.startswith("msa-wizard "):
                lines += command(each, None, f"{_DEEP[:-3]}-> ", f"{_DEEP}  ")
            else:
                lines.append(f"{_DEEP[:-3]}-> {each}")
    return "\n".join(lines)


def summary_text(summary: Summary) -> str:
    """How a set-up ends: what was done, then what mail clients still need."""
    lines = [
        line
        for word, sentence in summary.done
        for line in fold(clean(sentence), f"{word.capitalize():<13}", " " * 13)
    ]
    if summary.missing:
        lines += ["", "What mail clients need:", *map(check_text, summary.missing)]
    return "\n".join([*lines, "", f"`msa-wizard history` has each step, {log.PATH} what was run."])


def line_text(who: str, text: str, explanation: str) -> str:
    """A line of a conversation, or of the mail log, with what it means beside it; a remark has `#`."""
    return explained(f"{SIDES.get(who, '#')} {clean(text)}", explanation)


def explained(line: str, explanation: str) -> str:
    """A line with what it means: beside it, or below it on a terminal where both have no room."""
    columns = terminal_columns(sys.stdout)
    beside = f"{line:<62}  {clean(explanation)}".rstrip()
    if not explanation or columns is None or len(beside) <= columns:
        return beside
    return "\n".join([line, *fold(clean(explanation), "     ", "     ", columns)])


def show(event: Event) -> None:
    """Print one event of a run, and note it in the log."""
    log_event(event)
    text = event_text(event)
    whole = isinstance(event, Planned)  # its sentences are folded, its diff is not to be
    bad = isinstance(event, Failed) or (isinstance(event, Planned) and event.plan.outcome is Outcome.BLOCKED)
    if text:
        (error if bad else out)(text, whole=whole)


def log_event(event: Event) -> None:
    """Note one event of a run in the log, which has the output of commands already."""
    if not isinstance(event, Output | Progress) and (text := event_text(event)):
        log.note(text)


def collector(events: list[Event]) -> Report:
    """Takes the events of a run that nobody watches: into the list, and the log."""

    def collect(event: Event) -> None:
        log_event(event)
        events.append(event)

    return collect


def notes_once(report: Report) -> Report:
    """Reports plans that are read one below the other: what is noted of several of them stands below the first alone."""
    said: set[str] = set()

    def told(event: Event) -> None:
        if isinstance(event, Planned):
            notes = tuple(note for note in event.plan.notes if note not in said)
            said.update(notes)
            event = replace(event, plan=replace(event.plan, notes=notes))
        report(event)

    return told


def event_text(event: Event) -> str:
    """One event of a run, empty where there is nothing to say of it."""
    match event:
        case Planned(step, plan, again):
            changed = "   the machine has changed since this was shown; now it is:\n"
            rest = "   the first part is done; this is the rest, which could not be known before:\n"
            lead = "" if not again else rest if plan.begun else changed
            return lead + plan_text(step, plan)
        case Output(_, line):
            return f"   | {clean(line)}" if line.strip() else ""
        case Progress():
            return ""
        case Checked(_, check):
            return check_text(check)
        case Recorded(step, commit, seconds):
            return f"   {step.id} done in {seconds:.1f} s, recorded as {commit}"
        case Drifted(commit, paths):
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            some = ", ".join(clean(f"/{path}") for path in paths[:3]) + more
            return f"   changes made outside msa-wizard were recorded first as {commit}: {some}"
        case RolledBack(steps):
            return f"   rolled back, so that sendmail.mc is not left half edited: {', '.join(steps)}"
        case Failed(reported=True):  # its checks have said it, with what to do
            return ""
        case Failed(step, why, undone, not_undone, then):
            undoing = f"  undone: {', '.join(map(clean, undone)) or 'there was nothing to undo'}"
            if not_undone:
                undoing += f"\n  NOT undone: {'; '.join(map(clean, not_undone))}"
            return f"step {step.id} failed: {clean_block(why)}\n{undoing}\n  next: {then}"


def rolled_back_text(steps: Sequence[str]) -> str:
    """What is said of the edits that went with a stop between them, with a space behind it; empty where none did."""
    if not steps:
        return ""
    return f"Rolled back, so that sendmail.mc is not left half edited: {', '.join(steps)}. "


_STATE_WORDS = {"pending": "to do", "untested": "to test", "not-applicable": "n/a", "not-now": "not now"}


def state_word(state: str) -> str:
    """The state of a step as the screens say it; JSON keeps its own words."""
    return _STATE_WORDS.get(state, state)


def status_lines(rows: Iterable[documents.StatusRow]) -> str:
    """Step, state, reason in columns."""
    columns = terminal_columns(sys.stdout) or _ENDLESS
    return "\n".join(
        line
        for row in rows
        for line in fold(
            clean(row["reason"]), f"{row['step']:<18} {state_word(row['state']):<14} ", " " * 34, columns
        )
    )


_DONE = {
    "baseline": "as found",
    "drift": "by others",
    "settings": "saved",
    "apply": "applied",
    "rollback": "rolled back",
    "recover": "recovered",
}


def commit_words(history: Sequence[Commit]) -> dict[str, str]:
    """By id: what a commit of the whole history is the record of, in parentheses where it is no longer in effect; JSON
    keeps its own words."""
    force = {commit.id for commit in in_force.commits_in_force(history)}
    words = {}
    for commit in history:
        word = "debugging" if in_force.of_debugging(commit) else _DONE.get(commit.operation, commit.operation)
        words[commit.id] = word if commit.id in force else f"({word})"
    return words


def commit_time(commit: Commit) -> str:
    """When, in this host's time."""
    return commit.time.astimezone().strftime("%F %R")


def history_lines(
    commits: Sequence[Commit], history: Sequence[Commit], columns: int | None = None
) -> list[str]:
    """Some commits of the whole history, a line each where `columns` has room for it."""
    words = commit_words(history)
    widest = max((len(words[commit.id]) for commit in commits), default=0)
    lines = []
    for commit in commits:
        head = f"{commit.short}  {commit_time(commit)}  {words[commit.id]:<{widest}}  "
        says = f"{clean(commit.subject)}  ({clean(commit.author.name)})"
        lines += fold(says, head, " " * len(head), columns or _ENDLESS)
    return lines


def commit_text(commit: Commit, history: Sequence[Commit], columns: int | None = None) -> str:
    """A commit as the history has it; what it rolled back, or what rolled it back."""
    rolled_back = [each for each in history if each.id in commit.reverts]
    by = [each for each in in_force.commits_in_force(history) if commit.id in each.reverts]
    lines = history_lines([commit], history, columns)
    inside = columns and columns - 2
    for words, commits in (("it rolled back:", rolled_back), ("rolled back by:", by)):
        lines += (
            [words, *(f"  {line}" for line in history_lines(commits, history, inside))] if commits else []
        )
    return "\n".join(lines)


def commit_changes(store: Store, commit: Commit) -> tuple[list[str], str]:
    """What a commit changed: its effects that are no files, and the diff, certificates in words. Raises StoreError."""
    from wizard.certificates import in_words

    record = store.record(commit)
    return effect_lines(record) if record else [], store.diff(commit, in_words).rstrip("\n")


def effect_lines(record: bytes) -> list[str]:
    """What a commit's record says of effects that are not files: packages, services, commands."""
    lines = []
    for effect in json.loads(record)["effects"]:
        match effect["kind"]:
            case "packages" if "before" in effect:
                pass  # what a rollback may call its own; what went follows as an effect
            case "packages":
                for word in ("installed", "removed"):
                    lines += [f"package {name} {version} {word}" for name, version in effect[word].items()]
            case "service":
                states = [_was(effect[word], word) for word in ("enabled", "running")]
                lines.append(f"service {effect['name']}: {'; '.join(states)}")
            case "rules":
                word = "removed" if effect["removed"] else "added"
                lines += [
                    f"live rule {word}: {rule['tool']} {rule['chain']}, IPv{rule['family']}, port {rule['port']}"
                    for rule in effect["rules"]
                ]
            case "lineage":
                lines.append(f"certbot got a certificate for {effect['name']}")
            case "command":
                lines.append(f"ran {' '.join(effect['argv'])}")
    return [clean(line) for line in lines]


def _was(state: Mapping[str, bool], word: str) -> str:
    before, after = (word if state[when] else f"not {word}" for when in ("before", "after"))
    return f"{before}, then {after}" if before != after else f"{after} before and after"


def begun_text(change: dict[str, object]) -> str:
    """A change of a run that was killed, as the journal has it."""
    expected = change["expected"]
    assert isinstance(expected, dict)
    match expected["kind"]:
        case "file":
            return clean(f"file {expected['path']}")
        case "command":
            return clean(f"command {' '.join(expected['argv'])}")
        case "service":
            return clean(f"service {expected['name']}")
        case "lineage":
            return clean(f"a certificate for {expected['name']}, by certbot")
        case "rules":
            return "live firewall rules"
        case "watch":
            return "a look at the listeners, which changes nothing"
        case _:
            return "packages, by apt"
