"""The host's name: the line of /etc/hosts that takes it away is named, and that very line is put right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import facts, picture
from wizard.editors.hosts_file import with_name
from wizard.mends.certificate import MendHostName, known_name, misnamed
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Outcome, Sign
from wizard.system.host import Completed, Host
from wizard.system.sockets import qualified_name
from wizard.troubleshoot.verdict import judge

NAME, SHORT, LINE = "mail.example.test", "mail", "127.0.1.1\tmail.example.test mail\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1 localhost mail\n", f"127.0.0.1 localhost\n{LINE}"),
        ("127.0.0.1\tlocalhost mail # me\n", f"127.0.0.1\tlocalhost # me\n{LINE}"),
        ("127.0.0.1 localhost mail.example.test mail\n", f"127.0.0.1 localhost\n{LINE}"),
        ("127.0.0.1 localhost mail\n127.0.1.1 mail.example.test mail\n", "127.0.0.1 localhost\n127.0.1.1 mail.example.test mail\n"),
        ("127.0.1.1 mail mail.example.test www\n", "127.0.1.1 mail.example.test mail www\n"),
        ("127.0.1.1 mail.example.test. mail\n", "127.0.1.1 mail.example.test mail\n"),
        ("::1 localhost ip6-localhost MAIL\n", f"::1 localhost ip6-localhost\n{LINE}"),
        ("127.0.0.1 localhost.localdomain localhost mail", f"127.0.0.1 localhost.localdomain localhost\n{LINE}"),
        ("192.0.2.5 mail\r\n", "192.0.2.5 mail.example.test mail\r\n"),
        ("# \xc3\x85\n192.0.2.5 mail # \xc3\x85\n", "# \xc3\x85\n192.0.2.5 mail.example.test mail # \xc3\x85\n"),
        ("# 127.0.1.1 mail.example.test mail\n10.0.0.1 mail2 mailer\n", f"# 127.0.1.1 mail.example.test mail\n10.0.0.1 mail2 mailer\n{LINE}"),
        ("127.0.1.1\n", f"127.0.1.1\n{LINE}"),
        ("", LINE),
    ],
)  # fmt: skip
def test_that_very_line(before: str, after: str) -> None:
    assert with_name(before, NAME, SHORT, LINE) == after
    assert with_name(after, NAME, SHORT, LINE) == after


def _host(hosts: str, fqdn: str, **more: Any) -> dict[str, Any]:
    return {"files": {f.HOSTS: file(hosts)}, "fqdn": fqdn, "fqdn_resolves": "." in fqdn.strip("."), **more}


@pytest.mark.parametrize(
    ("hosts", "fqdn", "known"),
    [
        ("127.0.0.1 localhost mail\n127.0.1.1 mail.example.test mail\n", "localhost", NAME),
        ("127.0.0.1 localhost.localdomain localhost mail\n", "localhost.localdomain", ""),
        ("127.0.1.1 mail.example.test. mail\n", "mail.example.test.", NAME),
        ("127.0.1.1 mail\n", "mail", ""),
    ],
)
def test_the_line_is_named_and_the_name_comes_from_what_is_here(hosts: str, fqdn: str, known: str) -> None:
    host = _host(hosts, fqdn, hostname=SHORT)
    found = judge(picture(facts=host)).fault("hostname-unqualified")
    assert found is not None
    assert f"{f.HOSTS} line 1" in [each.source for each in found.finding.evidence]
    assert known_name(facts(**host)) == known
    assert (found.finding.mend.steps == ("mend-host-name",)) is bool(known)
    plan = MendHostName().plan(facts(**host), Answers())
    assert plan.outcome is (Outcome.PENDING if known else Outcome.BLOCKED)
    if not known and "localhost" in hosts:
        assert "take mail off line 1 of /etc/hosts" in found.finding.mend.text


def test_the_kernels_own_name_will_do_and_junk_will_not() -> None:
    assert known_name(facts(**_host("127.0.0.1 localhost\n", "", hostname=NAME))) == NAME
    assert known_name(facts(**_host("127.0.1.1 mail.;x mail\n", "mail", hostname=SHORT))) == ""
    assert not misnamed(facts(**_host("", "localhost.localdomain", hostname="localhost")))


@pytest.mark.parametrize(
    ("name", "qualified"),
    [(NAME, True), (f"{NAME}.", True), ("mail", False), ("mail..example.test", False), (".example.test", False), (f"{'x' * 64}.test", False)],
)  # fmt: skip
def test_a_name_that_no_client_can_ask_for_is_none(
    name: str, qualified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "run", lambda *_, **__: Completed((), 0, f"{name}\n", "", 0.0))
    assert qualified_name(Host()) == (name, qualified)


@pytest.mark.parametrize(
    ("found", "own", "elsewhere"),
    [
        (("192.0.2.9",), ("127.0.0.1", "192.0.2.5"), True),
        (("192.0.2.5", "192.0.2.9"), ("127.0.0.1", "192.0.2.5"), False),
        (("127.0.1.1",), ("127.0.0.1", "192.0.2.5"), False),
        (("8.8.8.8",), ("127.0.0.1", "10.0.0.5"), False),  # behind address translation
        (("8.8.8.8",), ("127.0.0.1", "10.0.0.5", "2600::5"), False),  # IPv6 without
        (("2600::9",), ("127.0.0.1", "10.0.0.5", "2600::5"), True),
        (("8.8.8.8",), ("127.0.0.1", "9.9.9.9"), True),
        (("fe80::1%eth0",), ("::1", "fe80::1"), False),
    ],
)
def test_another_hosts_address(found: tuple[str, ...], own: tuple[str, ...], elsewhere: bool) -> None:
    fault = judge(picture(name_addresses=found, facts={"addresses": own})).fault("hostname-elsewhere")
    assert (fault is not None) is elsewhere
    assert fault is None or fault.sign is Sign.WARNING
