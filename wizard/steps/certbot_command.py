"""The command by which certbot asks an authority for a certificate, as the settings want it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from wizard.certificates.acme import LETS_ENCRYPT, PROGRAM
from wizard.gather.acme import answered_by
from wizard.model.answers import MANUAL, WEBROOT, Certificate


def server_option(wanted: Certificate) -> str:
    """Which authority certbot is to ask, behind a command for a shell: of itself it asks Let's Encrypt."""
    return f" --server {shlex.quote(wanted.server)}" if wanted.server else ""


def command_lines(
    wanted: Certificate, names: Sequence[str], hook: str, *, rsa: bool
) -> Iterator[tuple[str, ...]]:
    """certbot's, a trial with Let's Encrypt's staging before that authority itself: of another the staging is not known."""
    ask = obtaining(wanted, names, hook, rsa=rsa)
    if has_staging(wanted):
        yield (*ask, "--dry-run")
    yield ask


def has_staging(wanted: Certificate) -> bool:
    """Whether certbot knows a staging of the authority: with --dry-run it asks any other authority itself."""
    return wanted.server in ("", LETS_ENCRYPT)


def obtaining(wanted: Certificate, names: Sequence[str], hook: str, *, rsa: bool = False) -> tuple[str, ...]:
    """The command by which certbot asks the authority; `hook` opens port 80 meanwhile, where it is closed."""
    kind = answered_by(wanted.challenge)
    # So that it overrules cli.ini: --standalone and the like would be a second choice beside the one there.
    way: tuple[str, ...] = ("--authenticator", wanted.challenge, "--preferred-challenges", kind)
    if wanted.challenge == WEBROOT:
        way += ("--webroot-path", wanted.webroot)
    elif wanted.challenge == MANUAL:
        way += ("--manual-auth-hook", wanted.auth_hook)
        way += ("--manual-cleanup-hook", wanted.cleanup_hook) if wanted.cleanup_hook else ()
    elif wanted.credentials and kind == "dns":
        way += (f"--{wanted.challenge}-credentials", wanted.credentials)
    return (
        *(PROGRAM, "certonly", "--non-interactive", "--cert-name", names[0]),
        *(word for name in names for word in ("--domain", name)),
        *way,
        *("--email", wanted.email, *(("--agree-tos",) if wanted.agree_tos else ()), "--no-eff-email"),
        # Without it the one in cli.ini would be asked, by terms that nobody has seen.
        *("--server", wanted.server or LETS_ENCRYPT),
        *(("--key-type", "rsa") if rsa else ()),
        *(("--pre-hook", f"{hook} open", "--post-hook", f"{hook} close") if hook else ()),
    )
