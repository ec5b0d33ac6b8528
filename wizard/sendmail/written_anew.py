"""Files that Debian's scripts for sendmail write anew each time: whether they are as these write them, so far as it can be
told without running them. Pure. (update_authm4, update_tlsm4 and update_conf of 8.17.1.9 to 8.18.2.)"""

from __future__ import annotations

import re

ITS_MAKING = re.compile(r"#####|VERSIONID\(")
"""The lines that say when, by whom and by which version a file was made."""
_WRITTEN = re.compile(r'<<"EOT";\n(.*?)^EOT$', re.MULTILINE | re.DOTALL)
"""What a Perl script prints into the file."""
_VALUE = re.compile(r"\$Def_Map\{'(\w+)'\}")
_PLAIN = r"[\w./ -]*"
"""A value that parse_mc finds in the file, and that is written again as it was; of `V,S` it finds V."""
_ALWAYS = {"confTO_AUTH": "2m", "confDH_PARAMETERS": "/etc/mail/tls/sendmail-common.prm"}
"""Values that parse_mc does not look for: the file gets these each time."""
_REMARK = re.compile(r"\bdnl\b[^`']*$|^dnl\b(?!').*$")
_TRANSITION = re.compile(r"[ \t]*auto_transition:")
_DICED = re.compile(r"^(?:\d+ )+")
_OF_THE_QUEUE = re.compile(
    r"\*/(\d\d) \* \* \* \* smmsp test [^;|]* && /usr/share/sendmail/sendmail cron-msp\Z"
)


def edits(text: str, script: str) -> tuple[str, ...]:
    """In which lines sasl.m4 or starttls.m4 is not what the script writes, but for values that it takes over: `+` before those
    that were put in, `-` before those that were taken out. What a file lacks that also lacks its end was lost."""
    there, lacking = _in_force(text), list[str]()
    written = _in_force(re.sub(r"\\(.)", r"\1", "".join(_WRITTEN.findall(script))))
    whole = bool(written) and written[-1:] == there[-1:]
    for line in sorted(written, key=lambda line: _VALUE.search(line) is not None):
        pattern = re.compile(_pattern(line))
        if (same := next(filter(pattern.fullmatch, there), None)) is not None:
            there.remove(same)
        else:
            lacking.append(line)
    return (*(f"-{line}" for line in lacking if whole), *(f"+{line}" for line in there))


def _pattern(line: str) -> str:
    """What a line of a script may have become in the file."""
    text, *rest = _VALUE.split(line)
    pattern = re.escape(text)
    for name, text in zip(rest[::2], rest[1::2], strict=True):
        pattern += (re.escape(_ALWAYS[name]) if name in _ALWAYS else _PLAIN) + re.escape(text)
    return pattern


def _in_force(text: str) -> list[str]:
    """The lines that m4 does something with, without a remark at their end."""
    lines = (_REMARK.sub("", line).strip() for line in text.splitlines() if not ITS_MAKING.match(line))
    return [line for line in lines if line and not line.startswith("#")]


def transition(sasl_conf: str) -> tuple[str, ...]:
    """The lines of Debian's Sendmail.conf that update_auth makes `auto_transition: true`."""
    lines = tuple(line for line in sasl_conf.splitlines() if _TRANSITION.match(line))
    return lines if any(line.split(":", 1)[1].lstrip().startswith("false") for line in lines) else ()


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
