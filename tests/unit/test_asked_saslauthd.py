"""Which saslauthd sendmail asks, of several, and what the steps do with one that has its socket elsewhere."""

from __future__ import annotations

import dataclasses

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import NOW, file, machine
from tests.unit.troubleshoot.pictures import picture
from wizard.mends.saslauthd import MendSaslauthdFolder
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth
from wizard.model.facts import Facts, Process
from wizard.model.plan import Outcome
from wizard.sendmail.asked_saslauthd import asked_saslauthd, defaults_file, misplaced, of_another_service
from wizard.sendmail.password_source import PasswordSource, of_host
from wizard.steps.order import step
from wizard.troubleshoot.verdict import judge

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
