"""Files that Debian's scripts for sendmail write anew each time: whether they are as these write them, so far as it can be
told without running them. Pure. (update_authm4, update_tlsm4 and update_conf of 8.17.1.9 to 8.18.2.)"""

from __future__ import annotations

import re

ITS_MAKING = re.compile(r"#####|VERSIONID\(")
"""The lines that say when, by whom and by which version a file was made."""
_WRITTEN = re.compile(r'<<"EOT";\n(.*?)^EOT$', re.MULTILINE | re.DOTALL)
"""What a Perl script prints into the file."""
_VALUE = re.compile(r"\$Def_Map\{.*?\}")
_PLAIN = r"[\w./ -]*"
"""A value that parse_mc finds in the file, and that is written again as it was; of `V,S` it finds V."""
_REMARK = re.compile(r"\bdnl\b[^`']*$|^dnl\b(?!').*$")
_DICED = re.compile(r"^(?:\d+ )+")
_OF_THE_QUEUE = re.compile(
    r"\*/(\d\d) \* \* \* \* smmsp test [^;|]* && /usr/share/sendmail/sendmail cron-msp\Z"
)


def own_lines(text: str, script: str) -> tuple[str, ...]:
    """The lines of sasl.m4 or starttls.m4 that the script does not write, but for values that it takes over."""
    escaped = "".join(_WRITTEN.findall(script))
    written = {
        re.compile(_PLAIN.join(map(re.escape, _VALUE.split(line))))
        for line in _in_force(re.sub(r"\\(.)", r"\1", escaped))
    }
    return tuple(line for line in _in_force(text) if not any(pattern.fullmatch(line) for pattern in written))


def _in_force(text: str) -> list[str]:
    """The lines that m4 does something with, without a remark at their end."""
    lines = (_REMARK.sub("", line).strip() for line in text.splitlines() if not ITS_MAKING.match(line))
    return [line for line in lines if line and not line.startswith("#")]


def crontab_as_written(text: str, conf: str) -> bool:
    """Whether /etc/cron.d/sendmail is as update_conf writes it by a sendmail.conf like Debian's own; of others it is not known."""
    lines = [*jobs(text).values()]
    interval = re.fullmatch(r"(\d\d)m", _setting(conf, "MSP_INTERVAL"))
    match = _OF_THE_QUEUE.match(lines[1]) if len(lines) == 2 and interval else None
    return (
        match is not None
        and interval is not None
        and match[1] == interval[1]
        and lines[0] == f"MAILTO={_setting(conf, 'CRON_MAILTO')}"
        and _setting(conf, "MSP_MODE").lower() == "cron"
        and _setting(conf, "QUEUE_MODE").lower() in ("${daemon_mode}", "daemon", "none")
        and not _setting(conf, "AGE_DATA")
    )


def jobs(crontab: str) -> dict[str, str]:
    """The lines of a crontab by which cron does something, by what tells them apart: times that update_conf throws dice for do
    not."""
    lines = (" ".join(line.split()) for line in crontab.splitlines())
    return {_DICED.sub("", line): line for line in lines if line and not line.startswith("#")}


def _setting(conf: str, key: str) -> str:
    """The last plain assignment of it in sendmail.conf."""
    found = re.findall(rf'^{key}=("[^"\n]*"|[^";\s]*)', conf, re.MULTILINE)
    return str(found[-1]).strip('"') if found else ""
