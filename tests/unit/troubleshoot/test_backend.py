"""What saslauthd asks where that is not this host, and the accounts of this host: read, probed, judged."""

from __future__ import annotations

import dataclasses
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import ALICE, SASLAUTHD, SENDMAIL, SHADOW, facts, picture
from wizard.changes.file import FileChange
from wizard.gather.pam import Pam, PamLine
from wizard.maillog.read import LOG, LogLine
from wizard.mends.order import find
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Process, Service
from wizard.model.plan import Sign
from wizard.smtp.transcript import Credentials
from wizard.system.host import Completed, Host
from wizard.troubleshoot import account, backend, collect
from wizard.troubleshoot.account import Account
from wizard.troubleshoot.backend import Backend, Server
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.verdict import judge

LDAP = Backend("ldap", servers=(Server("ldap://dc1.test"),), account="cn=svc")
CAROL = Account("carol", own=False)
REFUSED = {"login": False}


def _says(*texts: str, file: str = "") -> tuple[LogLine, ...]:
    return tuple(LogLine(2e9, "saslauthd", 1, text, file) for text in texts)


def _asks(mechanism: str, **more: Any) -> dict[str, Any]:
    argv = ("/usr/sbin/saslauthd", "-a", mechanism, "-m", "/var/run/saslauthd")
    default = file(f'START=yes\nMECHANISMS="{mechanism}"\nOPTIONS="-m /var/run/saslauthd"\n')
    return {
        "files": {f.SASLAUTHD_DEFAULT: default},
        "processes": (SENDMAIL, Process(2, "saslauthd", argv, 1.0)),
        **more,
    }


def _blamed(look: Picture) -> str:
    blamed = judge(look).blamed
    assert blamed is None or (blamed.finding.evidence and blamed.finding.mend != type(blamed.finding.mend)())
    return blamed.id if blamed else ""


def _of(mechanism: str, asked: Backend, **changes: Any) -> Picture:
    values: dict[str, Any] = {"facts": _asks(mechanism), "backend": asked, "account": CAROL, "talk": REFUSED}
    return picture(**(values | {"texts": {f.SASLAUTHD_CONF: "x"}} | changes))


def test_a_server_that_is_down_is_blamed_and_not_the_account() -> None:
    gone = dataclasses.replace(LDAP, servers=(Server("ldap://dc1.test", "connection refused"),))
    said = _says("ldap_simple_bind() failed -1 (Can't contact LDAP server).")
    both: tuple[dict[str, Any], ...] = ({}, {"account": None, "talk": {}})
    for changes in both:
        verdict = judge(_of("ldap", gone, log=said, **changes))
        assert verdict.blamed is not None
        assert verdict.blamed.id == "password-server-down"
        assert "dc1.test" in verdict.blamed.finding.cause
        assert "Can't contact" in verdict.blamed.finding.evidence[-1].says
        assert verdict.blamed.finding.mend.steps == ()
        assert verdict.fault("account-unknown") is None


def test_one_of_several_servers_is_a_warning() -> None:
    some = dataclasses.replace(LDAP, servers=(Server("ldap://a", "no answer"), Server("ldap://b")))
    found = judge(_of("ldap", some, account=None, talk={})).fault("password-server-down")
    assert found is not None
    assert found.sign is Sign.WARNING


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("ldap_simple_bind() failed 8 (Strong(er) authentication required).", "ldap_start_tls"),
        ("user ldap_search_st() failed: Insufficient access", "ldap_search_base"),
        ("ldap_simple_bind() failed 51 (Server is busy).", "LDAP"),
    ],
)
def test_a_server_that_answers_and_does_not_serve(said: str, word: str) -> None:
    verdict = judge(_of("ldap", LDAP, log=_says(said)))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "password-server-refuses"
    assert word in verdict.blamed.finding.mend.text
    quiet = judge(_of("ldap", LDAP, log=_says(said), account=None, talk={}))
    assert quiet.blamed is None


def test_neither_a_file_nor_a_client_decides() -> None:
    bad = "ldap_simple_bind() failed -1 (x)"
    for log in (_says(bad, file=LOG), _says(f"Authentication failed for {bad}: User not found (-6)")):
        assert _blamed(_of("ldap", LDAP, log=log)) == "login-unknown"


@pytest.mark.parametrize(
    ("mechanism", "said", "word"),
    [
        ("ldap", "Authentication failed for carol: User not found (-6)", "ldap_filter"),
        ("ldap", "Authentication failed for carol: Bind to ldap server failed (invalid user/password or insufficient access) (-7)", "cn=svc"),
        ("rimap", "                 : auth failure: [user=carol] [service=smtp] [realm=] [mech=rimap] [reason=remote server rejected your credentials]", "refused"),
    ],
)  # fmt: skip
def test_the_server_says_no_to_one_user(mechanism: str, said: str, word: str) -> None:
    verdict = judge(_of(mechanism, dataclasses.replace(LDAP, mechanism=mechanism), log=_says(said)))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "password-server-says-no"
    assert word in verdict.blamed.finding.cause + verdict.blamed.finding.mend.text


def test_a_file_that_saslauthd_cannot_read() -> None:
    assert (
        _blamed(_of("ldap", Backend("ldap", wrong="no such file or directory"), texts={}))
        == "password-server-file"
    )


@pytest.mark.parametrize(
    ("said", "mechanism", "asked", "blamed"),
    [
        ("                 : unknown authentication mechanism: httpform", "httpform", Backend("httpform"), "saslauthd-ends"),
        ("saslauthd[7] :failed to initialize mechanism rimap", "rimap", Backend("rimap"), "saslauthd-ends"),
        ("                 : failed to initialize mechanism rimap", "rimap", Backend("rimap", option="x", servers=(Server("x", "unknown"),)), "saslauthd-ends"),
        ("                 : failed to initialize mechanism rimap", "rimap", Backend("rimap", option="x", servers=(Server("x"),)), "saslauthd-dead"),
        ("                 : unknown authentication mechanism: ldapp", "rimap", Backend("rimap", option="x", servers=(Server("x"),)), "saslauthd-dead"),
    ],
)  # fmt: skip
def test_a_saslauthd_that_ends_as_it_starts(said: str, mechanism: str, asked: Backend, blamed: str) -> None:
    look = picture(
        facts=_asks(mechanism, processes=(SENDMAIL,)),
        backend=asked,
        mux_problem="No such file",
        log=_says(said),
    )
    verdict = judge(look)
    first = [fault.id for fault in verdict.faults if fault.id.startswith("saslauthd")]
    assert first[:1] == [blamed]


@pytest.mark.parametrize(
    ("native", "option", "wrong"),
    [
        (True, "h/143", True),
        (True, "-O h/143", False),
        (False, "h/143", False),
        (False, "-O h/143", True),
        (True, "", False),
    ],
)
def test_an_option_as_each_release_reads_it(native: bool, option: str, wrong: bool) -> None:
    """Debian's init script puts -O before MECH_OPTIONS; the unit of Debian 13 does not."""
    changes = _asks("rimap", processes=(SENDMAIL,))
    default = f'START=yes\nMECHANISMS="rimap"\nMECH_OPTIONS="{option}"\nOPTIONS="-m /var/run/saslauthd"\n'
    changes["files"] = {f.SASLAUTHD_DEFAULT: file(default)}
    service = Service("saslauthd", True, True, "failed", native=native)
    changes["services"] = {"sendmail": Service("sendmail", True, True, "active"), "saslauthd": service}
    look = picture(facts=changes, mux_problem="No such file")
    found = judge(look).fault("saslauthd-option")
    assert (found is not None) is wrong
    plan = find("mend-saslauthd-option").plan(look.facts, Answers())
    assert bool(plan.changes) is wrong
    if found is not None:
        assert judge(look).blamed == found
        written = next(change for change in plan.changes if isinstance(change, FileChange)).after
        assert written is not None
        right = '"-O h/143"' if native else '"h/143"'
        assert f"MECH_OPTIONS={right}".encode() in written.content


def test_a_realm_that_is_joined() -> None:
    options = file('START=yes\nMECHANISMS="pam"\nOPTIONS="-c -r -m /var/run/saslauthd"\n')
    changes = {
        "files": {f.SASLAUTHD_DEFAULT: options},
        "processes": (SENDMAIL, Process(2, "saslauthd", (*SASLAUTHD, "-r"), 1.0)),
    }
    owner = Account("alice@x.test", bare="alice")
    look = picture(facts=changes, account=owner, backend=Backend(joined=True), talk=REFUSED)
    assert _blamed(look) == "saslauthd-realm"
    found = judge(look).fault("saslauthd-realm")
    assert found is not None
    assert found.finding.mend.steps == ("mend-saslauthd-realm",)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("user-only-in-sasldb", {"account": Account("bob"), "sasldb": ("bob@x.test", "bob")}),
        ("user-not-in-sasldb", {"account": CAROL, "sasldb": ("bob@x", "bob"), "facts": _asks("sasldb", sasldb=("bob@x",)), "backend": Backend("sasldb")}),
        ("password-malformed", {"account": dataclasses.replace(ALICE, right=None, shadow=dataclasses.replace(SHADOW, malformed=True))}),
        ("account-barred", {"account": dataclasses.replace(ALICE, barred="alice: 3 failures"), "pam": Pam(f.PAM_SMTP, (PamLine("x", 1, "auth required pam_faillock.so", "auth", "required", "pam_faillock.so"),))}),
    ],
)  # fmt: skip
def test_an_account_is_blamed(name: str, changes: dict[str, Any]) -> None:
    look = picture(talk=REFUSED, **changes)
    assert _blamed(look) == name
    assert "0penPass1" not in repr(judge(look))


def test_getpwent_cannot_see_the_passwords() -> None:
    asks = {"facts": _asks("getpwent"), "backend": Backend("getpwent")}
    assert _blamed(picture(account=ALICE, talk=REFUSED, **asks)) == "saslauthd-getpwent"
    assert judge(picture(account=ALICE, talk={"login": True}, **asks)).faults == ()
    found = judge(picture(**asks)).fault("saslauthd-getpwent")
    assert found is not None
    assert found.sign is Sign.WARNING


def test_a_module_of_pam_that_refuses_the_user() -> None:
    said = "pam_access(smtp:account): access denied for user `alice' from `smtp'"
    look = picture(account=ALICE, talk=REFUSED, log=_says(said), socket_login="NO PAM acct error")
    assert _blamed(look) == "pam-module-refuses"
    assert _blamed(dataclasses.replace(look, log=_says(said, file=LOG))) == "pam-unknown"
    other = _says(said.replace("alice", "bob"))
    assert _blamed(dataclasses.replace(look, log=other)) == "pam-unknown"


def test_what_saslauthd_runs_with_counts_and_not_what_it_was_not_restarted_for() -> None:
    assert judge(picture(pam=Pam(None))).fault("pam-missing") is not None
    assert judge(picture(pam=Pam(None), backend=Backend("shadow"))).fault("pam-missing") is None


def test_a_line_of_shadow_is_shown_without_its_hash_and_not_masked() -> None:
    kept = dataclasses.replace(SHADOW, locked=True)
    blamed = judge(picture(account=dataclasses.replace(ALICE, shadow=kept))).blamed
    assert blamed is not None
    assert (
        "alice, locked, changed on 2024-10-04; the account expires on no day"
        in blamed.finding.evidence[0].says
    )
    assert dataclasses.replace(ALICE, shadow=dataclasses.replace(SHADOW, changed=0, expires=1)).line == (
        "alice, a password, to be changed; the account expires on 1970-01-02"
    )
    far = dataclasses.replace(SHADOW, expires=99999999)
    assert dataclasses.replace(ALICE, shadow=far).line.endswith("expires on day 99999999")


def _put(root: Path, path: str, content: str | bytes) -> None:
    place = root / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)


def test_servers_are_read_and_reached(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port, other = open_port.getsockname()[1], closed.getsockname()[1]
        _put(
            tmp_path,
            "/etc/saslauthd.conf",
            f"ldap_servers: ldap://127.0.0.1:{port} ldaps://127.0.0.1:{other}/ ldapi://%2Fno%2Fsocket\nldap_password: geheim\n",
        )
        _put(tmp_path, "/etc/default/saslauthd", 'MECHANISMS="ldap"\nOPTIONS="-r -m /var/run/saslauthd"\n')
        found = backend.look(Host(tmp_path), ())
        assert (found.mechanism, found.joined) == ("ldap", True)
        assert [server.problem for server in found.servers] == [
            "",
            "connection refused",
            "no such file or directory",
        ]
        assert "geheim" not in repr(found)
        running = Process(2, "saslauthd", ("saslauthd", "-a", "rimap", "-O", f"127.0.0.1/{port}"), 1.0)
        assert backend.look(Host(tmp_path), (running,)).servers == (Server(f"127.0.0.1/{port}"),)
    _put(tmp_path, "/etc/saslauthd.conf", "ldap_password geheim\n")
    found = backend.look(Host(tmp_path), ())
    assert "line 1" in found.wrong
    assert "geheim" not in repr(found)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    _put(tmp_path, "/etc/default/saslauthd", 'MECHANISMS="ldap"\n')
    os.mkfifo(tmp_path / "etc/saslauthd.conf")
    assert backend.look(Host(tmp_path), ()).wrong == "/etc/saslauthd.conf is not a file"
    (tmp_path / "etc/saslauthd.conf").unlink()
    assert backend.look(Host(tmp_path), ()).wrong == "no such file or directory"


@pytest.mark.parametrize(("method", "own"), [("auxprop", False), ("saslauthd", True)])
def test_a_comment_does_not_say_who_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, own: bool
) -> None:
    _put(tmp_path, f.SASL_CONF, f"# pwcheck_method: saslauthd\npwcheck_method: {method}\n")
    waits: list[float] = []

    def run(_: Host, argv: Sequence[str], *, timeout: float) -> Completed:
        waits.append(timeout)
        return Completed(tuple(argv), 2, "", "", 0.1)

    monkeypatch.setattr(Host, "run", run)
    owner = collect._owner(Host(tmp_path), Credentials("alice", "x"), (), Pam(None))
    assert owner is not None
    assert owner.own is own
    # A getent that asks a server which is down hangs.
    assert waits == [15 if own else 2]


@pytest.mark.parametrize(
    ("hashed", "bad"),
    [
        ("0penPass1", True),
        ("{SSHA}abcdefghij", True),
        ("$6$salt$cut", True),
        ("$99$x$y", True),
        ("ab01FAX.bQRSU", False),
    ],
)
def test_what_is_no_hash(hashed: str, bad: bool) -> None:
    assert account.malformed(hashed) is bad


@pytest.mark.parametrize(
    ("flags", "ago", "deny", "barred"),
    [
        (1, 5, "", True),
        (0, 5, "", False),
        (1, 5, "deny=4", False),
        (1, 700, "", False),
        (1, 700, "unlock_time=0", True),
    ],
)
def test_failures_that_are_counted(tmp_path: Path, flags: int, ago: int, deny: str, barred: bool) -> None:
    records = b"".join(struct.pack("<54xHQ", flags, 10_000 - ago - n) for n in range(3))
    _put(tmp_path, "/run/faillock/alice", records)
    text = f"auth required pam_faillock.so preauth {deny}"
    stack = Pam(f.PAM_SMTP, (PamLine("x", 1, text, "auth", "required", "pam_faillock.so"),))
    assert bool(account.barred(Host(tmp_path), stack, ALICE, 10_000.0)) is barred


def test_facts_of_the_sound_machine_ask_nobody_else() -> None:
    assert judge(picture(facts={"packages": facts().packages})).faults == ()
