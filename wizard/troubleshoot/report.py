"""The verdict as text for people, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from wizard.console import clean
from wizard.model.plan import Sign
from wizard.render.text import SIGNS, WIDTH
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.model import ORDER, TITLES
from wizard.troubleshoot.verdict import Verdict

_WORDS = {Sign.OK: "ok", Sign.WARNING: "warning", Sign.FAILED: "FAILED", Sign.UNKNOWN: "not tested"}


def text(verdict: Verdict) -> str:
    """Summary, layers, the fault to blame, what else was found, what could not be tested."""
    lines = [clean(verdict.summary), ""]
    signs = verdict.signs
    for layer in ORDER:
        ids = ", ".join(fault.id for fault in verdict.faults if fault.layer is layer)
        lines.append(
            f"   {SIGNS[signs[layer]]} {TITLES[layer]:<19} {_WORDS[signs[layer]]:<10} {ids}".rstrip()
        )
    blamed = verdict.blamed
    if blamed is not None:
        lines += ["", f"To blame: {TITLES[blamed.layer]}", *_fault(blamed)]
    others = [fault for fault in verdict.faults if fault is not blamed]
    if others:
        lines += ["", "Also seen:" if blamed else "Seen:"]
        lines += [line for fault in others for line in _fault(fault)]
    lines += [
        "",
        "Not tested:",
        *(line for sentence in verdict.untested for line in _wrap(f"- {sentence}", "   ", "     ")),
    ]
    lines.append(
        f"\nLooked for {verdict.seconds:.1f} s, of which {verdict.waited:.1f} s in conversation with the ports."
    )
    return "\n".join(lines)


def _fault(fault: Fault) -> Iterator[str]:
    yield from _wrap(f"{SIGNS[fault.sign]} {fault.id}: {fault.finding.cause}", "   ", "          ")
    for piece in fault.finding.evidence:
        yield f"          | {clean(piece.says)}  ({clean(piece.source)})"
    mend = fault.finding.mend
    if mend.text:
        yield from _wrap(f"-> {mend.text}", "          ", "             ")
    if mend.steps:
        yield f"          -> msa-wizard troubleshoot --fix {fault.id}   (steps: {', '.join(mend.steps)})"


def _wrap(words: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        clean(words),
        WIDTH + 20,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def to_json(verdict: Verdict) -> dict[str, object]:
    """Plain values for json.dumps; texts as they were found, as JSON escapes what a terminal must not get."""
    blamed = verdict.blamed
    return {
        "ok": blamed is None,
        "summary": verdict.summary,
        "blamed": blamed.id if blamed else None,
        "layer": blamed.layer if blamed else None,
        "layers": {str(layer): str(sign) for layer, sign in verdict.signs.items()},
        "faults": [_fault_json(fault) for fault in verdict.faults],
        "untested": list(verdict.untested),
        "seconds": {"all": round(verdict.seconds, 3), "waited": round(verdict.waited, 3)},
    }


def _fault_json(fault: Fault) -> dict[str, object]:
    return {
        "id": fault.id,
        "layer": fault.layer,
        "state": fault.sign,
        "sign": fault.sign,
        "symptom": fault.diagnosis.symptom,
        "howto": fault.diagnosis.howto,
        "probe": fault.diagnosis.probe,
        "cause": fault.finding.cause,
        "evidence": [{"says": piece.says, "source": piece.source} for piece in fault.finding.evidence],
        "mend": {"steps": list(fault.finding.mend.steps), "text": fault.finding.mend.text},
    }
