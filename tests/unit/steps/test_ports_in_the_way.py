"""Which programs on the ports are in sendmail's way: those at an address where it will listen."""

from __future__ import annotations

import pytest

from tests.unit.steps.recorded import file, machine
from wizard.engine.overview import found
from wizard.model import facts as f
from wizard.model.answers import Answers, Listen
from wizard.model.plan import Outcome, Sign
from wizard.steps.order import step
from wizard.steps.preflight import checks
from wizard.system.sockets import Listener, collide

OWN = ("192.0.2.25",)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::", "10.0.3.1", True),
        ("::1", "::", True),
        ("192.0.2.25", "10.0.3.1", False),
        ("192.0.2.25", "192.0.2.25", True),
    ],
)
def test_one_port_at_two_addresses(one: str, other: str, *, both: bool) -> None:
    assert collide(one, other) is collide(other, one) is both


@pytest.mark.parametrize(
    ("port", "address", "answers", "sign"),
    [
        (25, "::1", Answers(), Sign.OK),
        (25, "::1", Answers(Listen(ipv6=True)), Sign.FAILED),
        (25, "10.0.3.1", Answers(), Sign.FAILED),
        (587, "10.0.3.1", Answers(Listen(submission=OWN)), Sign.OK),
        (587, "0.0.0.0", Answers(Listen(submission=OWN)), Sign.FAILED),
        (25, "127.0.0.1", Answers(Listen(smtp=OWN)), Sign.FAILED),
        (587, "127.0.0.1", Answers(Listen(submission=OWN, local_submission=True)), Sign.FAILED),
    ],
)
def test_a_program_at_another_address_is_not_in_the_way(
    port: int, address: str, answers: Answers, sign: Sign
) -> None:
    facts = machine("13", listeners=(Listener(address, port, "python3", 42),))
    assert next(each.sign for each in checks(facts, answers) if each.id == f"port-{port}") is sign


def test_a_port_that_sendmail_holds_at_an_address_of_its_own_stays_there() -> None:
    held = (Listener(OWN[0], 587, "sendmail-mta", 1), Listener("10.0.3.1", 587, "docker-proxy", 2))
    says = {each.id: each.says for each in checks(machine("13", listeners=held), Answers())}
    assert says["port-587"] == "sendmail listens on port 587"


@pytest.mark.parametrize(("address", "blocked"), [("::1", False), ("127.0.0.1", True), ("::", True)])
def test_a_restart_is_stopped_by_a_program_at_its_address_alone(address: str, *, blocked: bool) -> None:
    cf = file("O DaemonPortOptions=Name=MTA-v4, Family=inet, Port=smtp\n")
    held = (Listener(address, 25, "python3", 42),)
    restart = step("restart").plan(machine("13", files={f.SENDMAIL_CF: cf}, listeners=held), Answers())
    assert (restart.outcome is Outcome.BLOCKED) is blocked


@pytest.mark.parametrize(
    ("listener", "address", "held"),
    [
        ("Family=inet, Addr=mail.example.org", "192.0.2.5", True),
        ("Family=inet, Addr=localhost", "127.0.0.1", True),
        ("Family=inet6, Addr=mail.example.org", "2001:db8::5", True),
        ("Family=inet6, Addr=IPv6:::ffff:192.0.2.5", "192.0.2.5", True),
        ("Family=inet6, Addr=IPv6:::ffff:192.0.2.5", "192.0.2.6", False),
        ("Family=local, Addr=/run/sendmail.sock", "192.0.2.5", False),
    ],
)
def test_a_listener_by_name_may_be_at_any_address(listener: str, address: str, *, held: bool) -> None:
    files = {f.SENDMAIL_CF: file(f"O DaemonPortOptions=Name=MTA, Port=smtp, {listener}\n")}
    facts = machine("13", files=files, listeners=(Listener(address, 25, "python3", 42),))
    assert ("is held by python3" in step("restart").plan(facts, Answers()).reason) is held


@pytest.mark.parametrize(
    ("address", "answers", "sign", "where"),
    [
        ("127.0.0.1", Answers(), Sign.PENDING, " of 127.0.0.1 only"),
        ("127.0.0.1", Answers(Listen(submission=("127.0.0.1",))), Sign.OK, ""),
        ("0.0.0.0", Answers(), Sign.OK, ""),
    ],
)
def test_a_port_that_only_this_host_reaches_is_not_called_well(
    address: str, answers: Answers, sign: Sign, where: str
) -> None:
    facts = machine("13", listeners=(Listener(address, 587, "sendmail-mta", 1),))
    port = next(each for each in checks(facts, answers) if each.id == "port-587")
    assert (port.sign, port.says) == (sign, f"sendmail listens on port 587{where}")
    assert "sendmail" not in [each.id for each in found(facts, answers)], "it is said of the port"
