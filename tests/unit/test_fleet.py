"""What `export ansible` writes, and the part of its modules that needs no Ansible."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.named_commands import misused
from tests.unit.steps.recorded import machine
from wizard import __version__
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.errors import AnswersError, UsageError
from wizard.fleet import COLLECTION, PROGRAM, as_yaml, collection, export, inventory, program_for_hosts
from wizard.model.answers import Answers, Auth, Certificate, Listen, Test
from wizard.model.set_option import KEYS, with_set
from wizard.render import as_json
from wizard.render.files import as_toml

TOP = Path(__file__).resolve().parents[2]
FACTS = machine("bookworm-mail")


def one_file(path: Path, version: str = __version__) -> Path:
    """What passes for msa-wizard.pyz at a look at its names and its version."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", f'print("msa-wizard {version} (one file)")\n')
        file.writestr("program.zip", "")
        file.writestr("first_start.py", "")
    return path


def module_utils() -> ModuleType:
    return loaded(TOP / "templates/fleet/collection/plugins/module_utils/program.py")


def loaded(path: Path) -> ModuleType:
    """A file of the collection."""
    spec = importlib.util.spec_from_file_location(f"of_the_collection_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Failed(Exception):
    """A module has failed."""


class FakeModule:
    """An AnsibleModule whose commands are answered by what a test gives."""

    check_mode = False

    def __init__(
        self, program: Path, code: int = 0, output: str = "", errors: str = "", **params: Any
    ) -> None:
        self.params = {"program": str(program), "answers": {}, "accept": [], **params}
        self.answer = (code, output, errors)
        self.asked: list[tuple[list[str], str | None]] = []

    def run_command(self, words: list[str], data: str | None = None) -> tuple[int, str, str]:
        self.asked.append((words, data))
        return self.answer

    def fail_json(self, **result: Any) -> None:
        raise Failed(result)


def settings(yaml: str, variable: str) -> list[str]:
    """What a variable of an inventory sets, as options of the program."""
    section, words = "", []
    for line in yaml.partition(f"{variable}:\n")[2].partition("\n\nmsa_")[0].splitlines():
        if head := re.fullmatch(r"  (\w+):", line):
            section = head[1]
        elif key := re.fullmatch(r"    (\w+): (.*)", line):
            words.append(f"{section}.{key[1]}={module_utils()._typed(json.loads(key[2]))}")
    return words


def test_nothing_is_overwritten_unasked_and_the_inventory_never(tmp_path: Path) -> None:
    exported = export(tmp_path / "new/fleet", Answers(), FACTS, b"the program")
    folder = tmp_path / "new/fleet"
    assert sorted(exported.written) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )
    assert (folder / PROGRAM).read_bytes() == b"the program"
    assert f'version: "{__version__}"\n' in (folder / COLLECTION / "galaxy.yml").read_text()
    mine = folder / "inventory/hosts.yml"
    mine.write_text("mine")
    (folder / "site.yml").write_text("old")
    with pytest.raises(AnswersError, match="it is there already"):
        export(folder, Answers(), FACTS, b"a newer program")
    assert (folder / "site.yml").read_text() == "old"
    again = export(folder, Answers(), FACTS, b"a newer program", force=True)
    assert (folder / PROGRAM).read_bytes() == b"a newer program"
    assert "import_playbook" in (folder / "site.yml").read_text()
    assert mine.read_text() == "mine"
    assert again.kept == ("README.md", "ansible.cfg", "inventory")
    mine.rename(mine.with_name("production.yml"))
    (folder / COLLECTION / "plugins/modules/older.py").write_text("")
    last = export(folder, Answers(), FACTS, b"a newer program", force=True)
    assert not mine.exists(), "its admin has moved it"
    assert last.unknown == (f"{COLLECTION}/plugins/modules/older.py",)
    assert again.unknown == ()


def test_an_inventory_of_others_keeps_no_setting_of_this_host_out(tmp_path: Path) -> None:
    """An Ansible repository, into which it is exported for the first time; then a newer version into it."""
    others = tmp_path / "inventory/prod.yml"
    others.parent.mkdir()
    others.write_text("theirs")
    first = export(tmp_path, Answers(), FACTS, b"the program")
    assert {"inventory/hosts.yml", "inventory/group_vars/msa/answers.yml"} < set(first.written)
    assert (first.kept, others.read_text()) == ((), "theirs")
    (tmp_path / "inventory/hosts.yml").unlink()
    again = export(tmp_path, Answers(), FACTS, b"the program", force=True)
    assert "inventory" in again.kept
    assert not (tmp_path / "inventory/hosts.yml").exists()


@pytest.mark.parametrize(
    ("fqdn", "hostname", "name"),
    [
        ("mail.example.test", "mail", "mail.example.test"),
        ("localhost", "mail", "mail"),
        ("localhost.localdomain", "mail.example.test", "mail.example.test"),
        ("", "mail", "mail"),
        ("localhost", "localhost", None),
    ],
)
def test_no_host_is_exported_as_the_one_that_ansible_runs_on(
    fqdn: str, hostname: str, name: str | None
) -> None:
    facts = dataclasses.replace(FACTS, fqdn=fqdn, fqdn_resolves="." in fqdn, hostname=hostname, files={})
    if name is None:
        with pytest.raises(UsageError, match="is called localhost"):
            inventory(Answers(), facts)
        return
    files = inventory(Answers(), facts)
    assert f"inventory/host_vars/{name}.yml" in files
    assert f"\n    {name}:\n" in files["inventory/hosts.yml"]
    assert ("#   ansible_host: 192.0.2.1 " in files["inventory/hosts.yml"]) is (name != fqdn)


def test_ansible_needs_no_sudo_where_it_logs_in_as_root() -> None:
    """As the inventory has it; it would else ask for sudo, which Debian leaves out where root has a password."""
    assert "\n    ansible_user: root\n" in inventory(Answers(), FACTS)["inventory/hosts.yml"]


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet/site.yml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnswersError, match="symbolic link"):
        export(tmp_path / "fleet", Answers(), FACTS, b"", force=True)
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_only_the_one_file_of_this_version_is_taken(tmp_path: Path) -> None:
    assert program_for_hosts(one_file(tmp_path / "right")) == (tmp_path / "right").read_bytes()
    (tmp_path / "text").write_text("#!/bin/sh\n")
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("__main__.py", "")
    for name in ("text", "zip", "missing"):
        with pytest.raises(UsageError, match="Nothing was written"):
            program_for_hosts(tmp_path / name)
    with pytest.raises(UsageError, match=r"it is version 0\.0\.9"):
        program_for_hosts(one_file(tmp_path / "old", "0.0.9"))


def test_addresses_of_this_host_are_not_for_the_others() -> None:
    answers = dataclasses.replace(Answers(), listen=Listen(submission=("192.0.2.7",), ipv6=True))
    files = inventory(answers, FACTS)
    (own,) = (text for name, text in files.items() if name.startswith("inventory/host_vars/"))
    shared = files["inventory/group_vars/msa/answers.yml"]
    assert '    submission: ["192.0.2.7"]\n' in own
    assert '    # submission: ["192.0.2.7"]\n' in shared
    assert "    ipv6: true\n" in shared


def test_the_name_of_this_hosts_certificate_is_not_for_the_others() -> None:
    wanted = Certificate("standalone", "mail.example.org", "admin@example.org", True)
    files = inventory(Answers(certificate=wanted), FACTS)
    (own,) = (text for name, text in files.items() if name.startswith("inventory/host_vars/"))
    shared = files["inventory/group_vars/msa/answers.yml"]
    assert '  certificate:\n    name: "mail.example.org"\n' in own
    assert '    # name: "mail.example.org"\n' in shared
    assert '    challenge: "standalone"\n' in shared
    assert "    agree_tos: true\n" in shared


def test_what_one_host_accepts_is_accepted_on_no_other() -> None:
    """Nor are the others' passwords to come from where its own do, or another's users to log in."""
    chosen = Answers(
        accept=("logins", "cf-lines"),
        auth=Auth("pam", ("PLAIN",)),
        listen=Listen(("192.0.2.7",), ("192.0.2.7", "127.0.0.1"), implicit_tls=True, local_submission=True),
        certificate=Certificate("standalone", "mail.example.org", "admin@example.org", agree_tos=True),
        test=Test("mail.example.org", "alice"),
    )
    files = inventory(chosen, FACTS)
    (own,) = (text for name, text in files.items() if name.startswith("inventory/host_vars/"))
    shared = files["inventory/group_vars/msa/answers.yml"]
    for_all = with_set(Answers(), settings(shared, "msa_answers"))
    assert for_all == Answers(
        auth=Auth("", ("PLAIN",)),
        listen=Listen(implicit_tls=True),
        certificate=dataclasses.replace(chosen.certificate, name=""),
    )
    of_host = with_set(for_all, settings(own, "msa_answers_host"))
    assert of_host == dataclasses.replace(chosen, accept=(), test=Test())
    assert '\nmsa_accept: ["logins", "cf-lines"]\n' in own
    assert '\n# msa_test_user: "alice"\n' in own
    assert "alice" not in shared


def test_every_setting_is_in_the_yaml_and_the_login_of_the_test_is_not() -> None:
    text = as_yaml(as_toml(Answers(), FACTS))
    named = re.findall(r'^ +(?:# )?([a-z_0-9]+): (?:["\[]|true|false|\d)', text, re.MULTILINE)
    assert sorted(named) == sorted(key.rpartition(".")[2] for key in KEYS if not key.startswith("test."))
    assert "answers.toml" not in text


def test_settings_reach_the_program_as_its_own_options(tmp_path: Path) -> None:
    utils = module_utils()
    given = {
        "listen": {"submission": ["192.0.2.1", "127.0.0.1"], "implicit_tls": True, "ipv6": False},
        "auth": None,
        "guess": {"limit": True, "attempts": 3},
        "login": {"policy": "groups", "groups": ["mail users"]},
        "tls": {"policy": "recommended"},
        "certificate": {"challenge": "standalone", "email": "admin@example.org", "agree_tos": True},
        "firewall.use": "nftables",
    }
    module = FakeModule(one_file(tmp_path / "program"), answers=given, accept=["cf-lines"])
    words = utils.Program(module).settings()
    assert words[-1] == "--accept=cf-lines"
    answers = with_set(Answers(), [word.removeprefix("--set=") for word in words[:-1]])
    assert answers.listen.submission == ("192.0.2.1", "127.0.0.1")
    assert (answers.listen.implicit_tls, answers.listen.ipv6) == (True, False)
    assert answers.firewall.use == "nftables"
    assert (answers.guess.limit, answers.guess.attempts) == (True, 3)
    assert (answers.login.policy, answers.login.groups) == ("groups", ("mail users",))
    assert answers.tls.policy == "recommended"
    assert answers.certificate == Certificate("standalone", "", "admin@example.org", agree_tos=True)
    module.params["answers"] = {"listen": {"smtp": ["a,b"]}}
    with pytest.raises(Failed, match="comma"):
        utils.Program(module).settings()


def test_a_password_goes_to_standard_input_alone(tmp_path: Path) -> None:
    module = FakeModule(one_file(tmp_path / "program"), user="alice", password="secret 77")
    words, data = module_utils().Program(module).login()
    assert "secret" not in " ".join(words)
    assert data == "secret 77\n"
    module.params["password"] = None
    with pytest.raises(Failed, match="needs a password"):
        module_utils().Program(module).login()


@pytest.mark.parametrize(
    ("code", "output", "errors", "why"),
    [
        (2, '{"schema": 1, "error": {"message": "no such key", "exit_code": 2}}', "", "no such key"),
        (
            6,
            '{"schema": 1, "error": {"message": "killed in restart", "exit_code": 6}}',
            "",
            "killed in restart",
        ),
        (1, "", "Traceback", "Traceback"),
        (0, "not JSON", "", "said nothing"),
        (137, "", "", "ended with 137"),
    ],
)
def test_an_error_is_a_failure_in_the_programs_words(
    tmp_path: Path, code: int, output: str, errors: str, why: str
) -> None:
    module = FakeModule(one_file(tmp_path / "program"), code, output, errors)
    with pytest.raises(Failed) as failed:
        module_utils().Program(module).run("apply")
    (result,) = failed.value.args
    assert why in result["msg"]
    assert (result["exit_code"], result["interrupted"]) == (code, code == 6)


def test_what_a_host_does_not_have_yet_is_no_failure_where_that_is_said(tmp_path: Path) -> None:
    output = '{"schema": 1, "error": {"message": "there is no sendmail.cf", "exit_code": 3}}'
    program = module_utils().Program(FakeModule(one_file(tmp_path / "program"), 3, output))
    assert program.run("certificate", "show", may_end=(0, 1), may_lack=True) == (3, {})
    with pytest.raises(Failed, match=r"there is no sendmail\.cf"):
        program.run("certificate", "show", may_end=(0, 1))


def test_a_refused_plan_fails_and_what_the_host_itself_accepts_refuses_none(tmp_path: Path) -> None:
    """As `apply` would."""
    ending = {"id": "cf-lines", "says": "lines of sendmail.cf go", "lines": []}
    words = {"outcome": "pending", "reason": "", "remedy": [], "changes": [], "ends": [ending]}
    document = {"schema": 1, "interrupted": None, "steps": [{"step": "restart", **words}]}
    planned = {
        bool(ends): FakeModule(one_file(tmp_path / "program"), 10, json.dumps({**document, "ends": ends}))
        for ends in ([ending], [])
    }
    with pytest.raises(Failed, match=r"lines of sendmail\.cf go \(accept: cf-lines\)"):
        module_utils().Program(planned[True]).planned()
    result = module_utils().Program(planned[False]).planned()
    assert (result["changed"], result["pending"]) == (True, ["restart"])


def test_a_diff_has_the_texts_of_files_and_the_words_of_whatever_else_is_done() -> None:
    """As Ansible's own callbacks take it (`_get_diff` of CallbackBase)."""
    entry = Entry(Kind.FILE, 0o644, 0, 0, b"a\nb\n")
    later = dataclasses.replace(entry, content=b"a\nc\n", mode=0o600)
    key = dataclasses.replace(entry, content=b"-----BEGIN PRIVATE KEY-----\n")
    plan = as_json.changes(
        [
            FileChange("/etc/x", entry, later),
            FileChange("/etc/x", entry, dataclasses.replace(entry, mode=0o600)),
            FileChange("/etc/x", entry, key),
            ServiceChange("sendmail", "systemd", enable=False, was_running=True),
        ]
    )
    texts, mode, hidden, service = module_utils().diffs(plan)
    assert texts == {
        "before": "a\nb\n",
        "after": "a\nc\n",
        "before_header": "/etc/x  (0644 root:root)",
        "after_header": "/etc/x  (0600 root:root)",
    }
    assert mode == {"prepared": "--- /etc/x  (0644 root:root)\n+++ /etc/x  (0600 root:root)\n"}
    assert "holds a private key" in hidden["prepared"]
    assert service["prepared"].endswith("\n+ systemctl restart sendmail\n")
    old, new = (
        dataclasses.replace(entry, content=b"ldap_servers: ldap://%c\nldap_password: S3cr3t\n" % name)
        for name in b"ab"
    )
    (texts,) = module_utils().diffs(as_json.changes([FileChange("/etc/saslauthd.conf", old, new)]))
    assert "ldap_servers: ldap://b\n" in texts["after"]
    assert "S3cr3t" not in json.dumps(texts)
    document = {"steps": [{"changes": plan}], "rollback": {"changes": plan}, "before": ["kept"]}
    assert '"before": "' not in json.dumps(module_utils().lean(document)), "once is enough"
    assert module_utils().lean(document)["before"] == ["kept"]


def test_the_options_that_modules_give_are_options_of_the_program() -> None:
    """Each string of a module that looks like an option is one of the command that the module runs."""
    commands = {"msa_facts": ("status", "certificate show")}
    found = 0
    for name, text in collection().items():
        if not name.startswith("plugins/modules/"):
            continue
        module = Path(name).stem
        body = text.partition("def main")[2]
        options = set(re.findall(r"(--[a-z-]+)", body))
        for command in commands.get(module, (module,)):
            for option in options:
                values = ["", " 7", " keep", " LOGIN", " all"]
                lines = [f"msa-wizard {command} {option}{value}" for value in values]
                assert any(misused(line) == "" for line in lines), f"{module}: {option}"
                found += 1
    assert found > 15
