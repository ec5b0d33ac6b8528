"""The command `certificate`: show, renew and install the server's certificate (howto 5.3 and 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.certificates.self_signed import DAYS, MOST_DAYS
from wizard.cli.plan_apply import decide, exit_code, must_be_asked
from wizard.engine.engine import Engine, EngineError
from wizard.engine.state_dir import at_work, must_be_root
from wizard.gather.certificates import CertificateReport, Named, report
from wizard.gather.host import qualified_name
from wizard.model import facts as f
from wizard.model.answers import Answers, host_name
from wizard.model.events import Event
from wizard.model.plan import Step
from wizard.render import as_json
from wizard.render.text import check_text, clean, out, show
from wizard.steps.certificate_install import Source, chosen
from wizard.steps.certificate_renew import renewed
from wizard.system.host import Host, HostError

if TYPE_CHECKING:
    import argparse


def certificate(arguments: argparse.Namespace) -> int:
    """`certificate`: what was asked for decides the exit code."""
    must_be_root()
    return {"show": _show, "renew": _renew, "install": _install}[arguments.what](arguments)


def _show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    made = shown(Host())
    if arguments.json:
        out(as_json.dumps(**made.to_json()))
    else:
        _print(made)
    return int(made.refused)


def shown(host: Host) -> CertificateReport:
    """The report on this host's certificates. Raises HostError."""
    cf = host.entry(f.SENDMAIL_CF)
    if cf is None:
        raise HostError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets sendmail up")
    name, resolves = qualified_name(host)
    return report(host, cf.content.decode("latin-1"), name if resolves else "")


def _renew(arguments: argparse.Namespace) -> int:
    """A new self-signed certificate: 0 done, 1 failed and undone, 3 blocked."""
    if not 1 <= arguments.days <= MOST_DAYS:
        raise EngineError(f"--days {arguments.days} is not between 1 and {MOST_DAYS}")
    host = Host()
    names = [_name(name) for name in arguments.name] or [_own_name(host)]
    names = list(dict.fromkeys(names))
    return _apply(
        host,
        arguments,
        lambda: renewed(host, names, arguments.days, replace_authority=arguments.self_signed),
    )


def renewal(host: Host) -> Step:
    """The step `certificate-renew` for this host's own name. Raises HostError."""
    return renewed(host, [_own_name(host)], DAYS, replace_authority=False)


def _install(arguments: argparse.Namespace) -> int:
    """A certificate from an authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    host = Host()
    return _apply(
        host,
        arguments,
        lambda: installation(host, arguments.cert, arguments.key, arguments.chain, arguments.name),
    )


def installation(host: Host, cert: str, key: str, chain: str = "", name: str = "") -> Step:
    """The step `certificate-install` for these files, checked. Raises EngineError, HostError."""
    known = _name(name) if name else _own_name(host)
    cert, key, chain = (str(Path(path).absolute()) if path else "" for path in (cert, key, chain))
    return chosen(host, Source(cert, key, chain, known))


def _own_name(host: Host) -> str:
    name, resolves = qualified_name(host)
    if not resolves:
        raise HostError(
            "this host has no qualified name (hostname -f): give the name that mail clients know it by, --name NAME"
        )
    return name


def _name(name: str) -> str:
    """A host name for a certificate. Raises EngineError."""
    try:
        checked = host_name(name)
    except ValueError as error:
        raise EngineError(str(error)) from error
    if "." not in checked.strip(".") or ":" in checked or checked.replace(".", "").isdigit():
        raise EngineError(f"{clean(name)[:80]!r} is not a qualified host name, such as mail.example.org")
    return checked.rstrip(".").lower()


def _apply(host: Host, arguments: argparse.Namespace, work_out: Callable[[], Step]) -> int:
    """Work the step out and do it, while this host is ours."""
    must_be_asked(arguments, f"certificate {arguments.what}")
    events: list[Event] = []
    with at_work() as (store, journal, interrupt):
        step = work_out()
        engine = Engine(host, Answers(), events.append if arguments.json else show, (step,))
        run = engine.apply(store, journal, (), decide(arguments.yes, store, interrupt), interrupt)
    if arguments.json:
        out(as_json.dumps(**as_json.run(run, events)))
    elif run.applied:
        out(f"\nDone. Taken back by:  msa-wizard rollback {step.id}")
    elif run.skipped:
        out("\nNothing was changed.")
    return exit_code(run)


def _print(made: CertificateReport) -> None:
    for item in made.named:
        out(f"== {item.option}: {clean(item.path)}")
        for word, value in details(item):
            out(f"   {word:<12} {clean(value)}")
    out("== what a mail client will think of it")
    for check in made.checks:
        out(check_text(check))


def details(item: Named) -> list[tuple[str, str]]:
    """What a certificate is, as pairs of a word and its value."""
    seen = item.certificate
    lines = [("problem", item.problem)] if item.problem else []
    if seen is not None:
        lines += [
            ("for", seen.subject),
            ("names", ", ".join(seen.names) or "none (no subjectAltName)"),
            ("issued by", "itself (self-signed)" if seen.self_signed else seen.issuer),
            *(("chain", subject) for subject in seen.chain[1:]),
            ("valid", f"{seen.not_before:%Y-%m-%d} to {seen.not_after:%Y-%m-%d}, {item.days_left} days left"),
            ("public key", seen.key),
            ("SHA-256", seen.fingerprint_sha256),
        ]
    if item.key_path:
        lines.append(
            ("private key", f"{item.key_path} ({item.key or 'not readable'}; mode and owner {item.key_mode})")
        )
    return lines
