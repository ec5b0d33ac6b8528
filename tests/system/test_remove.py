"""`remove` on a host that was set up: the program goes, the mail server stays, and the history is there for a new copy."""

from __future__ import annotations

from tests.system.conftest import BootMachine
from tests.system.machine import PROJECT
from tests.system.msa import STORE, WIZARD, login, sendmail_pid, wizard
from tests.system.terminal import Terminal

_HOME = "/var/lib/msa-wizard"


def test_the_program_goes_and_the_mail_server_stays(machine: BootMachine) -> None:
    debian = machine("msa")
    pid = sendmail_pid(debian)
    debian.run(f"cp -r {PROJECT} /opt/again && ln -s {PROJECT}/msa-wizard /usr/local/bin/msa-wizard")
    refused = wizard(debian, "remove")
    assert refused.returncode == 2
    assert "needs --yes" in refused.stderr

    done = wizard(debian, "remove", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "msa-wizard is removed." in done.stdout
    assert debian.run(["ls", _HOME]).stdout.split() == ["etc.git", "etc.git-history"]
    gone = f"test ! -e {PROJECT} -a ! -L /usr/local/bin/msa-wizard -a ! -e /run/msa-wizard"
    debian.run(gone)
    assert sendmail_pid(debian) == pid

    debian.run(f"cp -r /opt/again {PROJECT}")
    result = login(debian)
    assert (result["exit"], result["code"]) == (0, 235)
    back = wizard(debian, "rollback", "--yes", "smtp-port")
    assert back.returncode == 0, back.stdout + back.stderr

    done = wizard(debian, "remove", "--yes", "--forget-history", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    debian.run(f"test ! -e {_HOME} -a ! -e {STORE} -a ! -e {PROJECT}")
    assert debian.run("ls /var/log/msa-wizard.log*", check=False).stdout == ""
    assert sendmail_pid(debian)


def test_on_a_terminal_it_shows_all_and_asks_with_no_as_the_default(machine: BootMachine) -> None:
    debian = machine("msa")
    with Terminal(debian.argv([WIZARD, "remove"], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("remove msa-wizard? [y]es, [n]o (the default):", 60)
        assert "For the host as it was found" in terminal.text
        print(terminal.text)
        terminal.press("enter")
        assert terminal.ended() == 0
        assert "Nothing was removed." in terminal.text
    with Terminal(debian.argv([WIZARD, "remove"], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("remove msa-wizard?", 60)
        terminal.press("y", "enter")
        terminal.until("remove the history and the log, too?")
        terminal.press("y", "enter")
        terminal.until("type forget:")
        terminal.press("enter")
        assert terminal.ended() == 0
        print(terminal.text)
    debian.run(f"test -d {STORE} -a ! -e {PROJECT}")
