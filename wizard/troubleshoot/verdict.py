"""From the picture to the verdict: the first layer that fails is to blame; everything else found is reported too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from wizard.mends.order import in_order
from wizard.model.plan import Sign, Step, worst
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.diagnosis import Diagnosis, Fault
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import ORDER, TITLES, Layer

HANDS_OFF = "mend-hands-off"
_NEED_HANDS = {
    "sendmail-auth",
    "sendmailconfig",
    "mc-includes",
    "mend-sasl-m4",
    "mend-starttls-m4",
    "mend-certificate",
}
"""Steps for which Debian's scripts must be allowed to work."""


@dataclass(frozen=True)
class Verdict:
    """What troubleshooting came to."""

    faults: tuple[Fault, ...]
    """All that was seen, the first to blame first."""
    untested: tuple[str, ...]
    """What could not be tested, and why, in sentences."""
    seconds: float = 0.0
    waited: float = 0.0
    not_looked_at: tuple[Layer, ...] = ()
    """Those that this look could not reach: the account, where no user was given; what nobody answered for."""

    @property
    def blamed(self) -> Fault | None:
        """The fault of the first layer that fails."""
        return next((fault for fault in self.faults if fault.sign is Sign.FAILED), None)

    @property
    def signs(self) -> dict[Layer, Sign]:
        """Each layer's worst sign, in order; those that nobody could look at are unknown."""
        signs = {layer: [Sign.UNKNOWN] if layer in self.not_looked_at else [Sign.OK] for layer in ORDER}
        for fault in self.faults:
            signs[fault.layer].append(fault.sign)
        return {layer: worst(some) for layer, some in signs.items()}

    def fault(self, name: str) -> Fault | None:
        """The fault of that diagnosis, None where it does not hold now."""
        return next((fault for fault in self.faults if fault.id == name), None)

    @property
    def summary(self) -> str:
        """One line for monitoring, as Nagios reads it: a word, what is wrong, and figures behind the bar."""
        failed = [fault for fault in self.faults if fault.sign is Sign.FAILED]
        warned = [fault for fault in self.faults if fault.sign is Sign.WARNING]
        if self.blamed is not None:
            word = f"CRITICAL - {TITLES[self.blamed.layer]}: {self.blamed.finding.cause}"
        elif warned:
            word = f"OK - mail clients can submit; noted: {', '.join(fault.id for fault in warned)}"
        else:
            word = "OK - mail clients can submit"
        word = word.replace("|", "/")
        return f"MSA {word} | failed={len(failed)} warnings={len(warned)} time={self.seconds:.2f}s"


def judge(picture: Picture, diagnoses: Sequence[Diagnosis] = DIAGNOSES) -> Verdict:
    """Ask every diagnosis. One that knows no cause speaks only where nothing else explains its layer's failure."""
    faults = [
        Fault(diagnosis, seen)
        for diagnosis in diagnoses
        if not diagnosis.unknown and (seen := diagnosis.look(picture))
    ]
    explained = {fault.layer for fault in faults if fault.sign is Sign.FAILED}
    for diagnosis in diagnoses:
        if not diagnosis.unknown or diagnosis.layer in explained:
            continue
        seen = diagnosis.look(picture)
        if seen is not None and not _consequence(diagnosis, explained):
            faults.append(Fault(diagnosis, seen))
    if any(fault.id == "hands-off" for fault in faults):
        faults = list(map(_with_hands, faults))
    return Verdict(
        tuple(_in_order(faults, diagnoses)),
        tuple(_untested(picture)),
        picture.seconds,
        picture.waited,
        tuple(_not_looked_at(picture)),
    )


def mends(faults: Sequence[Fault]) -> tuple[Step, ...]:
    """The steps that fix them all, in the order in which they are applied. What is broken waits for no other step."""
    ids = {name for fault in faults for name in fault.finding.mend.steps}
    return tuple(step for step in in_order() if step.id in ids)


def _with_hands(fault: Fault) -> Fault:
    """A fix that uses Debian's scripts begins with allowing them to work."""
    mend = fault.finding.mend
    if not _NEED_HANDS & set(mend.steps) or HANDS_OFF in mend.steps:
        return fault
    mend = replace(mend, steps=(HANDS_OFF, *mend.steps))
    return replace(fault, finding=replace(fault.finding, mend=mend))


def _consequence(diagnosis: Diagnosis, explained: set[Layer]) -> bool:
    """A login that is refused needs no unknown cause where saslauthd or PAM is known to be broken."""
    inner = (Layer.SASLAUTHD, Layer.PAM, Layer.ACCOUNT)
    if diagnosis.layer is Layer.PAM and Layer.ACCOUNT in explained:
        return True  # PAM says no because of the account
    return diagnosis.layer in inner and any(
        layer in explained for layer in inner[: inner.index(diagnosis.layer)]
    )


def _in_order(faults: Iterable[Fault], diagnoses: Sequence[Diagnosis]) -> list[Fault]:
    place = {diagnosis.id: number for number, diagnosis in enumerate(diagnoses)}
    rank = {Sign.FAILED: 0, Sign.WARNING: 1, Sign.UNKNOWN: 2, Sign.OK: 3}
    return sorted(
        faults,
        key=lambda fault: (rank[fault.sign], ORDER.index(fault.layer), fault.diagnosis.late, place[fault.id]),
    )


_BY_THE_PORT = (Layer.GREETING, Layer.STARTTLS, Layer.CERTIFICATE, Layer.AUTH_OFFER)
"""The layers that a conversation with a port goes through."""


def _not_looked_at(picture: Picture) -> Iterable[Layer]:
    """What holds for the layer where every conversation ended is not known, unless a fault of it is; nor for those behind it."""
    for layer in _BY_THE_PORT:
        passed = (
            talk.stopped is None or ORDER.index(talk.stopped) > ORDER.index(layer)
            for talk in picture.submissions
            if talk.daemon.port not in picture.taken
        )
        if not any(passed) and (layer is not Layer.CERTIFICATE or picture.files.parsed is None):
            yield layer
    if "sendmail-bin" not in picture.facts.packages:
        yield from (Layer.SASLAUTHD, Layer.PAM, Layer.RELAY)
    if picture.account is None:
        yield Layer.ACCOUNT


def _untested(picture: Picture) -> Iterable[str]:
    if picture.account is None:
        yield "no login was tried: give --user NAME (and --password-stdin) to test account, password and PAM"
    elif picture.login is None:
        yield "no login was tried on the port: a problem found there already prevents it"
    if picture.ruleset is None and any(firewall.active for firewall in picture.facts.firewalls):
        yield "the packet filter could not be read (there is no nft): try from another machine"
    if not [
        address for address in picture.facts.addresses if not address.startswith("127.") and address != "::1"
    ]:
        yield "this host has no address but loopback"
    also = f" and {picture.outside.greeted_at}" if picture.outside.greeted_at else ""
    yield f"clients elsewhere: the ports were tried from loopback{also}; `msa-wizard troubleshoot --from ADDRESS` tells"
    yield (
        "whether a provider's firewall lets clients in: from another machine, "
        f"`msa-wizard test --host {picture.client_name or picture.facts.hostname}`"
    )
    yield "no message was sent: `msa-wizard test --user NAME --send-to ADDRESS` does"
