"""The verdict, and the catalogue of all diagnoses: as text for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wizard.console import WIDTH, clean, command, fold
from wizard.model.plan import Sign
from wizard.render.text import SIGNS
from wizard.troubleshoot.diagnosis import Diagnosis, Fault
from wizard.troubleshoot.model import ORDER, TITLES, Layer
from wizard.troubleshoot.verdict import Verdict

if TYPE_CHECKING:
    from wizard.model import documents
    from wizard.troubleshoot.fix import Fix

_WORDS = {Sign.OK: "ok", Sign.WARNING: "warning", Sign.FAILED: "FAILED", Sign.UNKNOWN: "not tested"}
_DEEP, _DEEPER = " " * 11, " " * 14


def text(verdict: Verdict, width: int = WIDTH) -> str:
    """Summary, layers, the fault to blame, what else was found, what could not be tested, and what it comes to: a terminal
    may show the end alone. `width` in columns."""
    lines = [clean(verdict.summary), ""]
    signs = verdict.signs
    for layer in ORDER:
        ids = ", ".join(fault.id for fault in verdict.faults if fault.layer is layer)
        row = f"   {SIGNS[signs[layer]]} {TITLES[layer]:<19} {_WORDS[signs[layer]]:<10} {ids}".rstrip()
        lines += wrap(row, "", " " * 42, width)
    blamed = verdict.blamed
    if blamed is not None:
        lines += ["", f"Cause: {TITLES[blamed.layer]}", *_fault(blamed, width)]
    others = [fault for fault in verdict.faults if fault is not blamed]
    if others:
        lines += ["", "Also seen:" if blamed else "Seen:"]
        lines += [line for fault in others for line in _fault(fault, width)]
    lines += ["", "Not tested:"]
    lines += [line for each in verdict.untested for line in wrap(f"- {each}", "   ", "     ", width)]
    took = f"Took {verdict.seconds:.1f} s, of which {verdict.waited:.1f} s talking to the ports."
    return "\n".join([*lines, "", *wrap(took, "", "", width), "", *_in_short(verdict, width)])


def _in_short(verdict: Verdict, width: int) -> Iterator[str]:
    blamed, noted = verdict.blamed, ", ".join(fault.id for fault in verdict.faults)
    if blamed is None:
        yield from wrap(
            f"In short: mail clients can submit{f'; noted: {noted}' if noted else ''}.", "", "   ", width
        )
        return
    yield from wrap(f"In short: {blamed.finding.cause}", "", "   ", width)
    yield from _fix(blamed, "   ", width)


def _fault(fault: Fault, width: int) -> Iterator[str]:
    """Symptom, cause, evidence, fix."""
    yield from wrap(f"{SIGNS[fault.sign]} {fault.id}: {fault.diagnosis.symptom}", "   ", _DEEP, width)
    yield from wrap(f"cause: {fault.finding.cause}", _DEEP, _DEEPER, width)
    for piece in fault.finding.evidence:
        yield from wrap(f"| {clean(piece.says)}  ({clean(piece.source)})", _DEEP, f"{_DEEP}|   ", width)
    yield from _fix(fault, _DEEP, width)
    if fault.finding.mend.steps:
        yield from wrap(f"(steps: {', '.join(fault.finding.mend.steps)})", _DEEPER, _DEEPER, width)


def _fix(fault: Fault, indent: str, width: int) -> Iterator[str]:
    if fault.finding.mend.text:
        yield from wrap(f"fix: {fault.finding.mend.text}", indent, f"{indent}   ", width)
    if fault.finding.mend.steps:
        what = f"msa-wizard troubleshoot --fix {fault.id}"
        yield from command(what, width, f"{indent}fix: ", f"{indent}   ")


def catalogue_text(diagnoses: Sequence[Diagnosis], width: int = WIDTH) -> str:
    """Every diagnosis by layer: its id, what users say, the cause, the fix."""
    lines = []
    for layer, some in by_layer(diagnoses).items():
        lines += ["", TITLES[layer], ""]
        for each in some:
            lines.append(f"   {each.id}")
            for word, says in (("users say", each.symptom), ("cause", each.cause), ("fix", each.fix)):
                lines += wrap(f"{f'{word}:':<11}{says}", "      ", " " * 17, width)
    return "\n".join(lines[1:])


def by_layer(diagnoses: Sequence[Diagnosis]) -> dict[Layer, list[Diagnosis]]:
    """The diagnoses of each layer that has some, from the outside in."""
    some = {layer: [each for each in diagnoses if each.layer is layer] for layer in ORDER}
    return {layer: each for layer, each in some.items() if each}


def wrap(words: str, first: str, then: str, width: int) -> list[str]:
    """The words, cleaned, in lines of `width` columns: `first` before the first one, `then` before each other."""
    return fold(clean(words), first, then, width)


def catalogue_json(diagnoses: Sequence[Diagnosis]) -> list[documents.Diagnosis]:
    """The same as plain values."""
    return [
        {
            "id": each.id,
            "layer": each.layer,
            "symptom": each.symptom,
            "cause": each.cause,
            "fix": each.fix,
            "howto": each.howto,
            "probe": each.probe,
        }
        for each in diagnoses
    ]


def to_json(verdict: Verdict, fixes: Mapping[str, Fix]) -> documents.Verdict:
    """Plain values for json.dumps; texts as they were found, as JSON escapes what a terminal must not get."""
    blamed = verdict.blamed
    return {
        "ok": blamed is None,
        "summary": verdict.summary,
        "blamed": blamed.id if blamed else None,
        "layer": blamed.layer if blamed else None,
        "layers": {str(layer): sign.value for layer, sign in verdict.signs.items()},
        "faults": [_fault_json(fault, fixes[fault.id]) for fault in verdict.faults],
        "untested": list(verdict.untested),
        "seconds": {"all": round(verdict.seconds, 3), "waited": round(verdict.waited, 3)},
    }


def _fault_json(fault: Fault, fix: Fix) -> documents.Fault:
    """One fault; `mend` is the older word for `fix`."""
    steps, words = list(fault.finding.mend.steps), fault.finding.mend.text
    return {
        "id": fault.id,
        "layer": fault.layer,
        "state": fault.sign.value,
        "sign": fault.sign.value,
        "symptom": fault.diagnosis.symptom,
        "howto": fault.diagnosis.howto,
        "probe": fault.diagnosis.probe,
        "cause": fault.finding.cause,
        "evidence": [{"says": piece.says, "source": piece.source} for piece in fault.finding.evidence],
        "mend": {"steps": steps, "text": words},
        "fix": {
            "can_be_applied": fix.can_be_applied,
            "why_not": fix.why_not,
            "blocked": fix.blocked,
            "steps": steps,
            "text": words,
            "ends": list(fix.ends),
        },
    }
