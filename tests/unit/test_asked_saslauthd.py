"""Which saslauthd sendmail asks, of several, and what the steps do with one that has its socket elsewhere."""

from __future__ import annotations

import dataclasses
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import NOW, file, machine
from tests.unit.troubleshoot.pictures import picture
from wizard.gather.host import _saslauthd
from wizard.mends.order import find
from wizard.mends.saslauthd import MendSaslauthdFolder
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth
from wizard.model.facts import Facts, Process
from wizard.model.plan import Outcome
from wizard.sendmail.asked_saslauthd import (
    asked_saslauthd,
    defaults_file,
    misplaced,
    of_another_service,
    own_saslauthds,
    service_of,
)
from wizard.sendmail.password_source import PasswordSource, of_host
from wizard.sendmail.sasl_files import asked_default
from wizard.steps.order import step
from wizard.system.host import Host
from wizard.troubleshoot import backend
from wizard.troubleshoot.backend import Backend, Server
from wizard.troubleshoot.collect import _mux_problem
from wizard.troubleshoot.verdict import Verdict, judge

AT = "/var/spool/postfix/var/run/saslauthd"
CONF = "pwcheck_method: saslauthd\nmech_list: LOGIN PLAIN\n"
TWO = f"{f.SASLAUTHD_DEFAULT}-two"


def default(folder: str, mechanism: str = "pam") -> Entry:
    return file(f'START=yes\nMECHANISMS="{mechanism}"\nOPTIONS="-c -m {folder}"\n')


def host(
    path: str = "",
    folder: str = "/var/run/saslauthd",
    *runs: tuple[str, ...],
    release: str = "12",
    unit: str | None = "saslauthd.service",
    answers: bool = True,
    files: dict[str, Entry | None] | None = None,
) -> Facts:
    """A machine with this saslauthd_path, the socket's folder as Debian's defaults file has it, and these that run."""
    conf = file(CONF + (f"saslauthd_path: {path}\n" if path else ""))
    texts = {f.SASL_CONF: conf, f.SASLAUTHD_DEFAULT: default(folder), **(files or {})}
    daemons = [
        Process(7 + at, "saslauthd", ("saslauthd", *argv), NOW, unit=unit) for at, argv in enumerate(runs)
    ]
    facts = machine(release, files=texts, processes=tuple(daemons), saslauthd_says="NO" if answers else None)
    known = dataclasses.replace(facts.services["saslauthd"], enabled=True, active="active (running)")
    return dataclasses.replace(facts, services={**facts.services, "saslauthd": known})


MOVED = host(f"{AT}/mux", AT, ("-a", "pam", "-c", "-m", AT))
ELSEWHERE = host("", AT, ("-a", "pam", "-c", "-m", AT), answers=False)
INSTANCES = host(
    "/run/saslauthd-two/mux",
    "/var/run/saslauthd",
    ("-a", "pam", "-m", "/var/run/saslauthd"),
    ("-a", "sasldb", "-m", "/run/saslauthd-two"),
    files={TWO: default("/var/run/saslauthd-two/", "sasldb")},
)
OWN_UNIT = host(
    "/run/own/mux", "/var/run/saslauthd", ("-a", "rimap", "-O", "x", "-m", "/run/own"), unit="own.service"
)


@pytest.mark.parametrize(
    ("facts", "asked", "defaults", "place", "another"),
    [
        (host("", "/var/run/saslauthd", ("-a", "pam")), 7, f.SASLAUTHD_DEFAULT, "", False),
        (MOVED, 7, f.SASLAUTHD_DEFAULT, "", False),
        (ELSEWHERE, None, f.SASLAUTHD_DEFAULT, AT, False),
        (INSTANCES, 8, TWO, "", False),
        (dataclasses.replace(INSTANCES, services=machine("13").services), 8, TWO, "", True),
        (OWN_UNIT, 7, f.SASLAUTHD_DEFAULT, "", True),
        (host("/run/own/mux"), None, f.SASLAUTHD_DEFAULT, "/var/run/saslauthd", False),
        (host("", "$FOLDER"), None, f.SASLAUTHD_DEFAULT, "", False),
        (
            host("", AT, files={f.MUX_FOLDER: Entry(Kind.SYMLINK, 0o777, 0, 0, AT.encode())}),
            None,
            f.SASLAUTHD_DEFAULT,
            "",
            False,
        ),
    ],
)
def test_which_one_is_asked(
    facts: Facts, asked: int | None, defaults: str, place: str, another: bool
) -> None:
    process = asked_saslauthd(facts)
    assert (process.pid if process else None) == asked
    assert (defaults_file(facts), misplaced(facts), of_another_service(facts)) == (defaults, place, another)


def test_a_socket_that_sendmail_conf_names_is_as_good() -> None:
    assert {
        step(name).plan(MOVED, Answers()).outcome for name in ("saslauthd-config", "saslauthd-start")
    } == {Outcome.DONE}
    assert not step("saslauthd-config").plan(MOVED, Answers()).notes[1:]
    assert MendSaslauthdFolder().plan(MOVED, Answers()).outcome is Outcome.DONE
    silent = step("saslauthd-start").plan(dataclasses.replace(MOVED, saslauthd_says=None), Answers())
    assert (silent.outcome, f"nothing answers on {AT}/mux" in silent.reason) == (Outcome.PENDING, True)


def test_a_start_that_would_put_the_socket_elsewhere_is_refused() -> None:
    made = step("saslauthd-start").plan(ELSEWHERE, Answers())
    assert made.outcome is Outcome.BLOCKED
    assert f"`saslauthd_path: {AT}/mux` in {f.SASL_CONF}" in " ".join(made.remedy)
    moved = MendSaslauthdFolder().plan(ELSEWHERE, Answers())
    assert f"asks saslauthd in {AT} finds it there no more" in moved.notes[0]
    other = step("saslauthd-start").plan(host("/run/own/mux", "/var/run/saslauthd", answers=False), Answers())
    assert (other.outcome, "(saslauthd_path)" in other.reason) == (Outcome.BLOCKED, True)


def test_the_instance_that_is_asked_counts() -> None:
    assert of_host(INSTANCES) == PasswordSource("saslauthd", "pam")  # nobody is in sasldb
    facts = dataclasses.replace(INSTANCES, sasldb=("bob@mail",))
    assert of_host(facts) == PasswordSource("saslauthd", "sasldb")
    made = step("saslauthd-config").plan(facts, Answers(auth=Auth("shadow"), accept=("logins",)))
    assert [change.path for change in made.changes] == [TWO]  # type: ignore[attr-defined]
    assert step("saslauthd-start").plan(facts, Answers()).outcome is Outcome.DONE


def test_one_of_another_service_is_left_alone() -> None:
    assert of_host(OWN_UNIT) == PasswordSource("saslauthd", "rimap")
    for name in ("saslauthd-config", "saslauthd-start"):
        made = step(name).plan(OWN_UNIT, Answers())
        assert (made.outcome, "is not saslauthd.service's" in made.reason) == (Outcome.NOT_APPLICABLE, True)
        made = step(name).plan(OWN_UNIT, Answers(auth=Auth("pam")))
        assert (made.outcome, "asks rimap, not pam" in made.reason) == (Outcome.BLOCKED, True)
        made = step(name).plan(dataclasses.replace(OWN_UNIT, saslauthd_says=None), Answers())
        assert (made.outcome, "nothing answers on /run/own/mux" in made.reason) == (Outcome.BLOCKED, True)


@pytest.mark.parametrize("facts", [MOVED, INSTANCES, OWN_UNIT], ids=["moved", "instances", "own-unit"])
def test_troubleshooting_knows_it(facts: Facts) -> None:
    changed = {name: getattr(facts, name) for name in ("files", "processes", "services")}
    seen = judge(picture(facts={**changed, "sasldb": ("bob@mail",)}, sasldb=("bob@mail",)))
    assert not [fault for fault in seen.faults if fault.diagnosis.id.startswith("saslauthd")]


def test_where_sendmail_conf_names_another_socket_either_line_may_be_wrong() -> None:
    wrong = host("/run/own/mux", AT, ("-a", "pam", "-m", AT))
    names = ("files", "processes")
    look = picture(facts={name: getattr(wrong, name) for name in names}, mux_problem="No such file")
    fault = judge(look).fault("saslauthd-elsewhere")
    assert fault is not None
    assert "sendmail asks at /run/own" in fault.finding.cause
    assert f"`saslauthd_path: {AT}/mux` in {f.SASL_CONF}, or `-m /run/own`" in fault.finding.mend.text


def native(facts: Facts) -> Facts:
    """The same on Debian 13, whose unit starts Debian's own saslauthd alone."""
    return dataclasses.replace(facts, services={**facts.services, **machine("13").services})


def without(facts: Facts, pid: int) -> Facts:
    """Where that saslauthd has ended."""
    left = tuple(process for process in facts.processes if process.pid != pid)
    return dataclasses.replace(facts, processes=left, saslauthd_says=None)


def judged(facts: Facts, **changes: Any) -> Verdict:
    names = ("files", "processes", "services", "sasldb")
    values = {"mux_problem": "Connection refused", **changes}
    return judge(picture(facts={name: getattr(facts, name) for name in names}, **values))


def test_where_the_one_that_is_asked_is_dead_no_other_is_blamed() -> None:
    dead = dataclasses.replace(without(INSTANCES, 8), sasldb=("bob@mail",))
    assert own_saslauthds(dead) == ()
    verdict = judged(dead, sasldb=dead.sasldb)
    assert [fault.id for fault in verdict.faults if fault.id.startswith("saslauthd")] == ["saslauthd-dead"]
    found = verdict.fault("saslauthd-dead")
    assert found is not None
    assert found.finding.cause.startswith("the saslauthd that sendmail asks does not run")
    assert found.finding.mend.steps == ("saslauthd-config", "saslauthd-start")
    assert any("no saslauthd with its socket in /run/saslauthd-two" in x.says for x in found.finding.evidence)
    of_its_own = judged(native(dead)).fault("saslauthd-dead")
    assert of_its_own is not None
    assert of_its_own.finding.mend.steps == (), "saslauthd.service does not start that one"
    assert "restart the service that puts its socket into /run/saslauthd-two" in of_its_own.finding.mend.text
    assert "calls it active" not in of_its_own.finding.cause


def test_debians_own_is_dead_and_an_instance_runs_for_another_program() -> None:
    two = ("-a", "sasldb", "-m", "/run/saslauthd-two")
    files: dict[str, Entry | None] = {TWO: default("/run/saslauthd-two", "sasldb")}
    for unit in ("saslauthd.service", "two.service", None):
        dead = host("", "/var/run/saslauthd", two, unit=unit, answers=False, files=files)
        ids = [fault.id for fault in judged(dead).faults if fault.id.startswith("saslauthd")]
        assert ids == ["saslauthd-dead"], unit
    own = host("", "/var/run/saslauthd", two, unit="own.service", answers=False)
    assert judged(own).fault("saslauthd-elsewhere") is None


def test_the_own_one_that_runs_elsewhere_is_still_found() -> None:
    """With an instance beside it, which has its socket where it should have."""
    both = host(
        "",
        AT,
        ("-a", "sasldb", "-m", "/run/saslauthd-two"),
        ("-a", "pam", "-m", AT),
        answers=False,
        files={TWO: default("/run/saslauthd-two", "sasldb")},
    )
    found = judged(both).fault("saslauthd-elsewhere")
    assert found is not None
    assert f"has its socket in {AT}" in found.finding.cause
    left = host("", "/var/run/saslauthd", ("-a", "pam", "-m", AT), answers=False)
    found = judged(left).fault("saslauthd-elsewhere")
    assert found is not None
    assert found.finding.mend.steps == ("mend-saslauthd-restart",), "left over from before"


def test_a_link_in_place_of_the_folder_leads_to_the_one_that_is_asked() -> None:
    for target in (AT, "../var/spool/postfix/var/run/saslauthd"):
        link: dict[str, Entry | None] = {f.MUX_FOLDER: Entry(Kind.SYMLINK, 0o777, 0, 0, target.encode())}
        linked = host("", AT, ("-a", "pam", "-c", "-m", AT), files=link)
        process = asked_saslauthd(linked)
        assert process is not None, target
        assert judged(linked, mux_problem="").fault("saslauthd-elsewhere") is None
        assert MendSaslauthdFolder().plan(linked, Answers()).outcome is Outcome.DONE


def test_the_file_of_the_instance_is_named() -> None:
    getpwent: dict[str, Entry | None] = {TWO: default("/run/saslauthd-two", "getpwent")}
    asks = host("/run/saslauthd-two/mux", "/var/run/saslauthd", files=getpwent, answers=False)
    found = judged(asks, mux_problem="", backend=Backend("getpwent")).fault("saslauthd-getpwent")
    assert found is not None
    assert (
        f'MECHANISMS="pam" (or "shadow") in {TWO}, then: `systemctl restart saslauthd`'
        in found.finding.mend.text
    )
    off: dict[str, Entry | None] = {
        TWO: file('START=no\nMECHANISMS="pam"\nOPTIONS="-m /run/saslauthd-two"\n')
    }
    found = judged(host("/run/saslauthd-two/mux", files=off, answers=False)).fault("saslauthd-start-no")
    assert found is not None
    assert found.finding.cause.endswith(f"demands START=yes, which is not in {TWO}")
    gone = Backend("rimap", servers=(Server("imap.test", "unknown"),))
    found = judged(INSTANCES, mux_problem="", backend=gone).fault("password-server-down")
    assert found is not None
    assert f"correct MECH_OPTIONS in {TWO};" in found.finding.mend.text
    found = judged(OWN_UNIT, mux_problem="", backend=gone).fault("password-server-down")
    assert found is not None
    assert (
        "correct MECH_OPTIONS in the command line that its own service starts it with"
        in found.finding.mend.text
    )


def test_whoever_asks_at_the_socket_of_now_is_asked_about_before_it_moves() -> None:
    moved = MendSaslauthdFolder().plan(ELSEWHERE, Answers())
    assert [(each.id, each.lines) for each in moved.ends] == [("saslauthd-socket", (f"{AT}/mux",))]
    left = host("", "/var/run/saslauthd", ("-a", "pam", "-m", AT), answers=False)
    for name in ("mend-saslauthd-restart", "saslauthd-start"):
        ends = find(name).plan(left, Answers()).ends
        assert [(each.id, each.lines) for each in ends] == [("saslauthd-socket", (f"{AT}/mux",))], name
        assert find(name).plan(host("", "/var/run/saslauthd", ("-a", "pam")), Answers()).ends == ()
    assert find("mend-saslauthd-restart").plan(ELSEWHERE, Answers()).ends == (), "it has it there again"
    dead = host("", AT, answers=False)
    assert MendSaslauthdFolder().plan(dead, Answers()).changes
    assert MendSaslauthdFolder().plan(dead, Answers()).ends == (), "nobody is served there now"
    shadow = Answers(auth=Auth("shadow"))
    restarted = host(
        "", "/var/run/saslauthd", ("-a", "pam", "-m", "/run/saslauthd/"), files={TWO: default(AT)}
    )
    assert step("saslauthd-start").plan(restarted, shadow).ends == ()


def test_one_of_another_service_is_restarted_by_that() -> None:
    assert (service_of(INSTANCES), service_of(OWN_UNIT)) == ("saslauthd", "own")
    found = judged(OWN_UNIT, mux_problem="timed out").fault("saslauthd-hung")
    assert found is not None
    assert (found.finding.mend.steps, "`systemctl restart own`" in found.finding.mend.text) == ((), True)
    for name in ("mend-saslauthd-restart", "mend-saslauthd-cache"):
        made = find(name).plan(OWN_UNIT, Answers())
        assert (made.outcome, made.remedy) == (Outcome.BLOCKED, ("systemctl restart own",))


def test_a_stopped_one_of_another_program_does_not_make_ours_silent(tmp_path: Path) -> None:
    folder = tmp_path / "run/saslauthd"
    folder.mkdir(parents=True)
    ours = Process(7, "saslauthd", ("saslauthd", "-a", "pam", "-m", "/var/run/saslauthd"), NOW, "S")
    other = Process(8, "saslauthd", ("saslauthd", "-a", "pam", "-m", AT), NOW, "T")
    child = dataclasses.replace(ours, pid=9, state="T")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(folder / "mux"))
        server.listen()
        threading.Thread(target=_answer_all, args=(server,), daemon=True).start()
        for running in ((ours, other), (ours, child)):
            assert _saslauthd(Host(tmp_path), running, (f.MUX,)) == "NO"
        assert _saslauthd(Host(tmp_path), (child,), (f.MUX,)) is None
        assert _mux_problem(Host(tmp_path), f.MUX, stopped=False) == ""
        server.shutdown(socket.SHUT_RDWR)
    stopped = dataclasses.replace(
        INSTANCES, processes=(dataclasses.replace(INSTANCES.processes[0], state="T"), INSTANCES.processes[1])
    )
    found = judged(stopped, states={7: "T", 8: "S"}, mux_problem="Permission denied")
    assert found.fault("saslauthd-hung") is None


def _answer_all(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(100)
            connection.sendall(b"\0\2NO")


def test_what_one_asks_that_does_not_run_is_read_in_its_own_file(tmp_path: Path) -> None:
    conf = tmp_path / "usr/lib/sasl2/Sendmail.conf"
    folder = tmp_path / "etc/default"
    for each in (conf.parent, folder):
        each.mkdir(parents=True)
    debian, two = folder / "saslauthd", folder / "saslauthd-two"
    debian.write_text('MECHANISMS="ldap"\nOPTIONS="-r -m /var/run/saslauthd"\n')
    two.write_text('MECHANISMS="sasldb"\nOPTIONS="-m /run/saslauthd-two"\n')
    other = Process(7, "saslauthd", ("saslauthd", "-a", "ldap", "-m", "/var/run/saslauthd"), NOW)
    root = Host(tmp_path)
    for text, asked, path in (
        ("", ("ldap", True, ""), f.SASLAUTHD_DEFAULT),
        ("saslauthd_path: /run/saslauthd-two/mux\n", ("sasldb", False, ""), TWO),
        ("saslauthd_path: /run/own/mux\n", ("", False, ""), None),
    ):
        conf.write_text(CONF + text)
        assert (backend.asked(root, ()), asked_default(root)) == (asked, path)
        if path != f.SASLAUTHD_DEFAULT:
            assert backend.asked(root, (other,)) == asked
    assert backend.look(root, ()).servers == (), "nobody is asked there"
    debian.write_text(f'MECHANISMS="shadow"\nOPTIONS="-m {AT}"\n')
    conf.write_text(CONF)
    assert backend.asked(root, ())[0] == "shadow", "its socket is to be moved to where sendmail asks"
    (tmp_path / "run").mkdir()
    (tmp_path / "run/saslauthd").symlink_to(AT)
    linked = Process(7, "saslauthd", ("saslauthd", "-a", "rimap", "-m", AT), NOW)
    assert backend.asked(root, (linked,))[0] == "rimap"
