"""Plans, events and checks as text for people. Plain ASCII of our own; what comes from outside is cleaned."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wizard.console import clean, clean_block, error, out
from wizard.model.events import Checked, Drifted, Event, Failed, Output, Planned, Recorded
from wizard.model.plan import Change, Check, Ending, Outcome, Plan, Sign, Step

if TYPE_CHECKING:
    from snapshots.merge.three_way import Conflict
    from wizard.rollback.plan import Rollback

DIFF_INDENT = "     "
WIDTH = 78
SIGNS = {Sign.OK: "[ok]  ", Sign.WARNING: "[warn]", Sign.FAILED: "[FAIL]", Sign.UNKNOWN: "[?]   "}
_WORDS = {
    Outcome.PENDING: "to do:",
    Outcome.DONE: "already done because",
    Outcome.NOT_APPLICABLE: "does not apply because",
    Outcome.LATER: "decided later:",
    Outcome.BLOCKED: "BLOCKED:",
}


def plan_text(step: Step, plan: Plan, *, why: bool = True) -> str:
    """One step's plan: why, what, diffs, commands, notes."""
    lines = [f"== {step.id}: {step.title}" + (f"  (howto {step.howto})" if step.howto else "")]
    if why and plan.outcome in (Outcome.PENDING, Outcome.LATER):
        lines += _wrap(f"why: {step.why}")
    lines += _wrap(f"{_word(step, plan)} {plan.reason}")
    for change in plan.changes:
        lines += _change(change)
    lines += [line for note in plan.notes for line in _wrap(f"note: {note}")]
    if plan.remedy:
        lines += ["   what to do:", *(f"      {line}" for line in plan.remedy)]
    lines += [line for ending in plan.ends for line in _ending(ending)]
    return "\n".join(clean(line) for line in lines)


def _ending(ending: Ending) -> list[str]:
    return [*_wrap(f"WOULD END [{ending.id}]: {ending.says}"), *(f"     | {line}" for line in ending.lines)]


def endings_text(ends: Sequence[Ending]) -> str:
    """What would end: a sentence each, and the lines below it."""
    return "\n".join(clean(line) for ending in ends for line in _ending(ending))


def reason_text(plan: Plan) -> str:
    """Why, and the names of what would end with it."""
    names = ", ".join(ending.id for ending in plan.ends)
    return f"{plan.reason} (WOULD END: {names})" if names else plan.reason


def _word(step: Step, plan: Plan) -> str:
    reports = step.reports and plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE)
    return "changes nothing:" if reports else _WORDS[plan.outcome]


def _change(change: Change) -> list[str]:
    shown = change.describe()
    lines = _wrap(f"* {shown.title}")
    lines += [
        f"     $ {command}" if not command.startswith(" ") else f"     {command}"
        for command in shown.commands
    ]
    lines += [f"{DIFF_INDENT}{line}" for line in shown.diff.splitlines()]
    return lines


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent="     ", break_long_words=False)


def rollback_text(made: Rollback) -> str:
    """What taking back comes to: what goes together, each change, what follows, what stays."""
    target = made.target
    lines = [f"== take back {target.words}"]
    lines += [f"   {commit.short}  {commit.subject}" for commit in target.commits]
    if target.dependents:
        lines += _wrap(f"goes with it, for it needs it: {', '.join(target.dependents)}")
    for change in made.changes:
        if not (made.packages and change.kind == "file"):
            lines += _change(change)
    lines += _many_files(made) if made.packages else []
    lines += [line for note in (*made.reversal.notes, *made.follows()) for line in _wrap(f"note: {note}")]
    lines += [line for each in made.left for line in _wrap(f"STAYS: {each}")]
    return "\n".join(clean(line) for line in lines)


def _many_files(made: Rollback) -> list[str]:
    """The paths alone where packages go: there are some hundred of them, and most go with the packages."""
    sides = [(change.path, change.before, change.after) for change in made.files]
    goes = [path for path, _, after in sides if after is None]
    comes = [path for path, before, after in sides if before is None and after is not None]
    changes = [path for path, before, after in sides if before is not None and after is not None]
    titles = (("remove", goes), ("bring back", comes), ("take back what was changed in", changes))
    return [
        line for words, paths in titles if paths for line in _wrap(f"* {words} {', '.join(sorted(paths))}")
    ]


def conflict_text(conflict: Conflict) -> str:
    """A conflict: the path, what of it, and the hunks."""
    return "\n".join(
        [
            f"conflict in /{clean(conflict.path)} ({conflict.what}):",
            *(f"  {clean(line)}" for line in conflict.text.splitlines()),
        ]
    )


def check_text(check: Check) -> str:
    """A check as a line with its sign; what to do stands below it unless all is well."""
    line = f"   {SIGNS[check.sign]} {clean(check.says)}"
    if check.remedy and check.sign is not Sign.OK:
        line += "".join(f"\n            -> {clean(item)}" for item in check.remedy.splitlines())
    return line


def show(event: Event) -> None:
    """Print one event of a run."""
    match event:
        case Planned(step, plan, again):
            if again:
                out("   the machine has changed since this was shown; now it is:")
            if plan.outcome is Outcome.BLOCKED:
                error(plan_text(step, plan))
            else:
                out(plan_text(step, plan))
        case Output(_, line):
            if line.strip():
                out(f"   | {clean(line)}")
        case Checked(_, check):
            out(check_text(check))
        case Recorded(step, commit, seconds):
            out(f"   {step.id} done in {seconds:.1f} s, recorded as {commit}")
        case Drifted(commit, paths):
            some = ", ".join(clean(path) for path in paths[:3]) + (
                f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            )
            out(f"   changes made outside msa-wizard were recorded first as {commit}: {some}")
        case Failed(step, why, undone, not_undone, then):
            error(f"step {step.id} failed: {clean_block(why)}")
            error(f"  undone: {', '.join(map(clean, undone)) or 'there was nothing to undo'}")
            if not_undone:
                error(f"  NOT undone: {'; '.join(map(clean, not_undone))}")
            error(f"  next: {then}")


def status_lines(rows: Mapping[str, tuple[str, str]]) -> str:
    """Step, state, reason in columns."""
    return "\n".join(f"{name:<17} {state:<15} {clean(reason)}" for name, (state, reason) in rows.items())


def effect_lines(record: bytes) -> list[str]:
    """What a commit's record says of effects that are not files: packages, services, commands."""
    lines = []
    for effect in json.loads(record)["effects"]:
        match effect["kind"]:
            case "packages":
                lines += [
                    f"package {name} {version} installed" for name, version in effect["installed"].items()
                ]
                lines += [f"package {name} {version} removed" for name, version in effect["removed"].items()]
            case "service":
                enabled, running = effect["enabled"], effect["running"]
                lines.append(
                    f"service {effect['name']}: {_was(enabled, 'enabled')}; {_was(running, 'running')}"
                )
            case "rules":
                word = "taken out" if effect["removed"] else "added"
                lines += [
                    f"live rule {word}: {rule['tool']} {rule['chain']}, IPv{rule['family']}, port {rule['port']}"
                    for rule in effect["rules"]
                ]
            case "command":
                lines.append(f"ran {' '.join(effect['argv'])}")
    return [clean(line) for line in lines]


def _was(state: Mapping[str, bool], word: str) -> str:
    before, after = (word if state[when] else f"not {word}" for when in ("before", "after"))
    return f"{before}, then {after}" if before != after else f"{after} before and after"
