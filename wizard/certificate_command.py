"""The command `certificate`: show, renew and install the server's certificate (howto 5.3 and 5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard import as_json
from wizard import facts as f
from wizard.certificate_report import CertificateReport, Named, report
from wizard.host import Host, HostError
from wizard.look import qualified_name
from wizard.printing import check_text, clean, out
from wizard.state_folder import must_be_root

if TYPE_CHECKING:
    import argparse


def certificate(arguments: argparse.Namespace) -> int:
    """`certificate`: what was asked for decides the exit code."""
    must_be_root()
    return {"show": _show}[arguments.what](arguments)


def _show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    host = Host()
    cf = host.entry(f.SENDMAIL_CF)
    if cf is None:
        raise HostError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets sendmail up")
    name, resolves = qualified_name(host)
    made = report(host, cf.content.decode("latin-1"), name if resolves else "")
    if arguments.json:
        out(as_json.dumps(**made.to_json()))
    else:
        _print(made)
    return int(made.refused)


def _print(made: CertificateReport) -> None:
    for item in made.named:
        out(f"== {item.option}: {clean(item.path)}")
        for word, value in _lines(item):
            out(f"   {word:<12} {clean(value)}")
    out("== what a mail client will think of it")
    for check in made.checks:
        out(check_text(check))


def _lines(item: Named) -> list[tuple[str, str]]:
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
