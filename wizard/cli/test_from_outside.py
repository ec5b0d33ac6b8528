"""`test --from-outside`: wait until a mail client on another machine has come in, and logged in (howto 5.2.2).

A test on this host never meets its firewall: so what comes from one of its own addresses counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.cli.options import within
from wizard.console import clean, out
from wizard.engine.state_dir import must_be_root
from wizard.maillog.explain import word
from wizard.maillog.outside_login import WITHIN, commands, verdict, watched
from wizard.maillog.read import Logged
from wizard.model.plan import Sign
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse


def wait(arguments: argparse.Namespace) -> int:
    """0 when a client from outside has logged in, 1 when none did in time."""
    must_be_root()  # the journal shows others nothing, which would look like nobody
    limit = within(arguments, WITHIN)
    host = Host()
    shown = (lambda _: None) if arguments.json else out
    shown(commands(host))
    shown(f"\nWaiting for it, {limit:.0f} s at most (Ctrl-C ends it) ...")

    def tell(line: Logged) -> None:
        shown(
            f"| {clean(f'{line.name}[{line.pid}]: {line.text}'):<60}  {word(line.name, line.text)}".rstrip()
        )

    found = watched(host, limit, tell, lambda: False)
    check = verdict(found, limit)
    if arguments.json:
        proved = None if found.file else found.logged_in
        who = dict(zip(("address", "user"), proved, strict=True)) if proved else None
        ok = check.sign is Sign.OK
        out(as_json.dumps(ok=ok, verdict=check.says, logged_in=who, addresses=sorted(found.came)))
    else:
        out()
        out(check_text(check))
    return int(check.sign is not Sign.OK)
