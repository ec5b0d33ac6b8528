"""The command `export ansible`: the same set-up for many hosts."""

from __future__ import annotations

import argparse
from pathlib import Path

from wizard.cli.options import answers_of
from wizard.cli.steps import as_this_host
from wizard.console import clean, count, out
from wizard.delivery import one_file
from wizard.errors import DONE, UsageError
from wizard.gather.host import look
from wizard.render import as_json
from wizard.system.host import Host

_NEEDED = (
    "the hosts get the one file, from which this was not started. Name that of this version, which its release has: "
    "--program msa-wizard.pyz. Nothing was written"
)


def ansible(arguments: argparse.Namespace) -> int:
    """`export ansible`: 0."""
    from wizard.fleet import export, name_of, program_for_hosts
    from wizard.mends.certificate import misnamed

    file = Path(arguments.program) if arguments.program else one_file()
    if file is None:
        raise UsageError(_NEEDED)
    program = program_for_hosts(file)
    folder, facts = Path(arguments.folder), look(Host())
    answers = as_this_host(answers_of(arguments), facts)
    exported = export(folder, answers, facts, program, force=arguments.force)
    if arguments.json:
        lists = {"written": exported.written, "kept": exported.kept, "unknown": exported.unknown}
        as_json.show(folder=str(folder.absolute()), **lists)
        return DONE
    out(f"{count(len(exported.written), 'file')} written to {clean(str(folder.absolute()))}.")
    if exported.kept:
        out(f"These were there already, and stay: {', '.join(map(clean, exported.kept))}")
    if exported.unknown:
        out(f"These are of no file of this version, and can go: {', '.join(map(clean, exported.unknown))}")
    if misnamed(facts):
        out(
            f"`hostname -f` says {clean(facts.fqdn) or 'nothing'}: this host is called {clean(name_of(facts))} in "
            "inventory/hosts.yml. If it cannot be reached by that name, give its address there."
        )
    out("Name your hosts in inventory/hosts.yml there; README.md beside it tells how to go on.")
    return DONE
