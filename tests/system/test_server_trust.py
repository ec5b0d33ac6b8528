"""A password goes to a verified server alone: this host's own by its file, another by its certificate, or by an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.system.client import CLIENT_ADDRESSES
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, WIZARD, login, wizard
from tests.system.terminal import Terminal
from tests.unit.smtp.server import print_of

pytestmark = pytest.mark.default_on("forky")
_TOP = Path(__file__).resolve().parents[2]
OTHER = CLIENT_ADDRESSES[0].partition("/")[0]
NAME = "mx.other.test"
CRT = "/etc/mail/tls/sendmail-server.crt"


@pytest.fixture(scope="module")
def debian(debian: Machine) -> Machine:
    """The network beside it has a name."""
    debian.run(f"echo '{OTHER} {NAME} wrong.other.test' >>/etc/hosts")
    return debian


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory, debian: Machine) -> Authority:
    """One that the machine trusts."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    debian.put("/usr/local/share/ca-certificates/tests-root.crt", made.root)
    debian.run("update-ca-certificates")
    return made


@contextmanager
def other_server(debian: Machine, certificate: Path, *options: str) -> Iterator[list[str]]:
    """A server on another machine; what it was told is in the list at the end."""
    argv = debian.client().argv(
        [sys.executable, "-m", "tests.system.other_server", str(certificate), OTHER, *options]
    )
    told: list[str] = []
    with subprocess.Popen(
        argv, cwd=_TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        assert running.stdout.readline() == "ready\n"
        try:
            yield told
        finally:
            running.stdin.close()
            told += json.loads(running.stdout.read())


def whole(folder: Path, authority: Authority, name: str, days: int = 30) -> Path:
    """A certificate with key and chain in one file."""
    leaf = authority.leaf(name, days=days)
    path = folder / f"{name}.pem"
    path.write_text(leaf.key + leaf.certificate + authority.between)
    return path


def no_trace(said: str) -> None:
    """Nothing that the other server made of the password."""
    for form in (PASSWORD, PASSWORD[::-1], PASSWORD.encode().hex(), PASSWORD.swapcase()):
        assert form not in said


def test_this_hosts_own_sendmail_is_known_by_its_file(debian: Machine) -> None:
    for host in ("", "127.0.0.1", "198.51.100.1", "mail.example.test"):
        made = login(debian, *(("--host", host) if host else ()))
        assert (made["exit"], made["code"]) == (0, 235), made["verdict"]
    made = login(debian, "--verify")
    assert (made["exit"], made["layer"]) == (1, "certificate"), "self-signed: no trust store knows it"


def test_a_file_that_was_changed_without_a_restart(debian: Machine) -> None:
    debian.run(f"cp -p {CRT} /root/old.crt")
    debian.run(
        "openssl req -x509 -new -key /etc/mail/tls/sendmail-common.key -subj /CN=mail.example.test -days 9 "
        f"-out /root/new.crt && cat /root/new.crt >{CRT}"
    )
    made = login(debian)
    assert (made["exit"], made["layer"]) == (1, "certificate"), made["verdict"]
    assert "systemctl restart sendmail" in made["verdict"]
    assert not any("AUTH" in item["text"] for item in made["lines"] if item["who"] == "client")
    done = wizard(
        debian,
        "troubleshoot",
        "--user",
        "alice",
        "--password-stdin",
        "--json",
        input=PASSWORD + "\n",
    )
    assert "AUTH LOGIN" not in done.stdout
    blamed = json.loads(done.stdout)
    assert "certificate-not-own" in json.dumps(blamed) or "sendmail-stale" in json.dumps(blamed), done.stdout
    debian.run("systemctl restart sendmail")
    assert login(debian)["exit"] == 0
    debian.run(f"cat /root/old.crt >{CRT}; systemctl restart sendmail")


@pytest.mark.parametrize("kind", ["self-signed", "expired", "another name"])
def test_another_server_that_is_not_trusted_gets_no_password(
    debian: Machine, authority: Authority, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "strange").mkdir()
    certificate = {
        "self-signed": lambda: whole(tmp_path, Authority(tmp_path / "strange"), NAME),
        "expired": lambda: whole(tmp_path, authority, NAME, -1),
        "another name": lambda: whole(tmp_path, authority, "elsewhere.test"),
    }[kind]()
    host = ("--host", NAME)
    with other_server(debian, certificate) as told:
        refused = login(debian, *host)
        wrong = login(debian, *host, "--accept-certificate", "0" * 64)
        watched = login(debian, *host, "--watch", "--send-to", "bob@other.test")
        usage = wizard(
            debian,
            "test",
            *host,
            "--user",
            "alice",
            "--password-stdin",
            "--accept-certificate",
            "x",
            input="p\n",
        )
    for made in (refused, wrong, watched):
        assert (made["exit"], made["layer"]) == (1, "certificate"), made["verdict"]
        assert "no password was sent" in made["verdict"]
        assert print_of(certificate) in made["verdict"]
    assert (usage.returncode, "64 hexadecimal digits" in usage.stderr) == (2, True)
    assert not any(line.startswith("AUTH") for line in told), told
    digits = print_of(certificate).upper()
    colons = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    with other_server(debian, certificate) as told:
        made = login(debian, *host, "--accept-certificate", colons)
    assert (made["exit"], made["code"]) == (0, 235), made["verdict"]
    assert any(line.startswith("AUTH") for line in told)
    no_trace(json.dumps(made, ensure_ascii=False))


def test_a_server_with_a_good_certificate_needs_no_word(
    debian: Machine, authority: Authority, tmp_path: Path
) -> None:
    certificate = whole(tmp_path, authority, NAME)
    with other_server(debian, certificate) as told:
        other = login(debian, "--host", "wrong.other.test")
        made = login(debian, "--host", NAME)
    assert (made["exit"], made["code"]) == (0, 235), made["verdict"]
    assert (other["exit"], other["layer"]) == (1, "certificate")
    assert sum(line.startswith("AUTH") for line in told) == 1
    no_trace(json.dumps(made, ensure_ascii=False))
    with other_server(debian, certificate, "strip") as told:
        made = login(debian, "--host", NAME)
    assert (made["exit"], made["layer"]) == (1, "starttls")
    assert not any(line.startswith("AUTH") for line in told)


@pytest.mark.parametrize("answer", ["\r", "y\r"])
def test_a_terminal_is_asked_and_no_is_the_default(debian: Machine, tmp_path: Path, answer: str) -> None:
    (tmp_path / "strange").mkdir()
    certificate = whole(tmp_path, Authority(tmp_path / "strange"), NAME)
    argv = debian.argv([WIZARD, "test", "--host", NAME, "--user", "alice"])
    with other_server(debian, certificate) as told, Terminal(argv, size=(140, 60)) as terminal:
        terminal.until("Password of alice:")
        terminal.press(f"{PASSWORD}\r")
        terminal.until("[y]es, [n]o (the default):")
        digits = print_of(certificate).upper()
        for part in ("SHA-256", f"{digits[:2]}:{digits[2:4]}:", NAME, "valid"):
            assert part in terminal.text
        terminal.press(answer)
        code = terminal.ended(60)
        said = terminal.raw.decode("utf-8", "replace")
    assert code == int(answer == "\r"), said
    assert any(line.startswith("AUTH") for line in told) is (answer != "\r")
    no_trace(said)
