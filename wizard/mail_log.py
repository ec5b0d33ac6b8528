"""What sendmail logged: the journal where there is one, else the mail log."""

from __future__ import annotations

from wizard.host import Host, HostError

LOG = "/var/log/mail.log"
_END = 256 * 1024


def lines_since(host: Host, since: float) -> tuple[str, ...] | None:
    """The lines of sm-mta since `since` (seconds since the epoch); None when this host keeps no mail log.

    Of /var/log/mail.log the lines since the daemon's last start, within its last 256 KiB: its dates have no year."""
    if host.exists("/run/systemd/journal/socket"):
        try:
            done = host.run(
                ["journalctl", "-q", "-t", "sm-mta", "-o", "cat", "--no-pager", f"--since=@{int(since)}"],
                timeout=30,
            )
        except HostError:
            return None
        return tuple(done.stdout.splitlines())
    path = host.path(LOG)
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _END))
            lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if "sm-mta" in line]
    except OSError:
        return None
    starts = [at for at, line in enumerate(lines) if "starting daemon" in line]
    return tuple(lines[starts[-1] :] if starts else lines)
