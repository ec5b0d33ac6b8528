"""`certificate obtain --dry-run`: certbot asks the authority as it would, in folders of its own that go afterwards. It keeps no
certificate, and nothing below /etc changes; port 80 is opened for that while where it has to be. An authority without a staging
that is known is not asked: it would make an account, and sign."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from wizard.certificates.acme import authority
from wizard.changes.install_packages import PackagesChange
from wizard.changes.lineage import LineageChange, ask, port_not_closed, port_script, refused
from wizard.errors import HostError
from wizard.model.answers import Certificate
from wizard.model.plan import Plan
from wizard.steps.certbot_command import has_staging, obtaining
from wizard.system.host import Host, Say


def trial(host: Host, plan: Plan, wanted: Certificate, say: Say) -> tuple[str, bool]:
    """What came of it in a sentence without its full stop, and whether the authority would sign. Raises HostError."""
    lineage = next(change for change in plan.changes if isinstance(change, LineageChange))
    who = authority(wanted.server)
    if packages := [
        name for change in plan.changes if isinstance(change, PackagesChange) for name in change.names
    ]:
        install = f"`apt-get install --no-install-recommends {shlex.join(packages)}`, then the same command"
        before = f"{', '.join(packages)} must be installed before {who} can be asked"
        return f"{before}: {install}; all else is right", True
    if not has_staging(wanted):
        why = f"of {who} no staging is known, so it is not asked for a trial"
        return f"{why}; all that can be seen from here is right", True
    with tempfile.TemporaryDirectory(prefix="msa-wizard-acme-") as folder:
        hook = Path(folder) / "port-80"
        hook.write_text(port_script(lineage.rules))
        words = obtaining(wanted, lineage.names, f"/bin/sh {hook}" if lineage.rules else "")
        own = (word for kind in ("config", "work", "logs") for word in (f"--{kind}-dir", f"{folder}/{kind}"))
        try:
            result = ask(host, [*words, "--dry-run", *own], say)
        except HostError as error:
            raise HostError(
                ". And ".join(filter(None, (str(error), port_not_closed(host, lineage.rules))))
            ) from error
        still_open = port_not_closed(host, lineage.rules)
        means, remedy = refused(host, result, f"{folder}/logs/letsencrypt.log")
    says = f"{who} would sign a certificate for {', '.join(lineage.names)}"
    if result.code != 0:
        says = (
            f"{who} would give no certificate for {', '.join(lineage.names)}: {means}. What to do: {remedy}"
        )
    return ". And ".join(filter(None, (says, still_open))), result.code == 0 and not still_open
