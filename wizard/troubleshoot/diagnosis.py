"""A diagnosis: what it looks at, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.model.plan import Sign
from wizard.troubleshoot.model import Finding, Layer, next_looks

if TYPE_CHECKING:
    from wizard.troubleshoot.host_state import Picture


@dataclass(frozen=True)
class Diagnosis:
    """One way in which submission fails. `look` is a pure function of the picture, None where the host is fine."""

    id: str
    layer: Layer
    symptom: str
    """In the user's words."""
    howto: str
    probe: str
    """What is looked at."""
    look: Callable[[Picture], Finding | None]
    unknown: bool = False
    """It speaks only where nothing else in its layer explains the failure."""
    late: bool = False
    """It is to blame only where nothing else in the layer fails, because a restart alone would not help."""
    cause: str = ""
    """What is wrong, on any host: one sentence for the catalogue (`troubleshoot --list`, docs/diagnoses.md)."""
    fix: str = ""
    """What fixes it, in one sentence: a person's act; where steps do it they follow as `(--fix: ID, ID)`."""


def of_unknown(
    words: tuple[str, Layer, str, str, str],
    look: Callable[[Picture], Finding | None],
    cause: str = "no known cause; the evidence shows what was said",
) -> Diagnosis:
    """One that speaks where nothing else explains the failure; `words` are its first five fields."""
    return Diagnosis(*words, look, unknown=True, cause=cause, fix=next_looks(words[1]).text)


@dataclass(frozen=True)
class Fault:
    """A diagnosis that applies to this host now."""

    diagnosis: Diagnosis
    finding: Finding

    @property
    def id(self) -> str:
        """The diagnosis' id."""
        return self.diagnosis.id

    @property
    def layer(self) -> Layer:
        """The layer it is in."""
        return self.finding.layer or self.diagnosis.layer

    @property
    def sign(self) -> Sign:
        """Failed, warning or unknown."""
        return self.finding.sign
