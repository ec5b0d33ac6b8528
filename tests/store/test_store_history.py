"""Reading the store: commits, diffs, and what each commit changed, as the store and as plain git tell it."""

from __future__ import annotations

import datetime
import os

import pytest

from snapshots.format.layout import PathChange, What
from snapshots.format.message import Author
from snapshots.git.repository import GitRepository
from snapshots.store import Store, StoreError
from tests.store.machine import Machine, commit, git


def test_a_commit_says_who_what_when_and_why(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "mail/sendmail.mc").write_text("new\n")
    when = datetime.datetime(
        2026, 3, 1, 12, 0, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    )
    made = commit(
        store, "apply", step="mc-includes", howto="3.2", subject="Include sasl.m4", body="Why.\n\nMore.",
        author=Author("Bob <x>", "bob@example.test"), time=when,
    )  # fmt: skip
    assert made is not None
    assert made == store.head() == store.find("mc-includes") == store.find(made.short) == store.find(made.id)
    assert (made.operation, made.step, made.howto, made.run) == ("apply", "mc-includes", "3.2", "run-1")
    assert (made.subject, made.body, made.time) == ("Include sasl.m4", "Why.\n\nMore.", when)
    assert made.author == store.find("HEAD").author
    trailers = git(machine, "log", "-1", "--format=%(trailers:only,unfold)", "main").strip()
    assert trailers == "Step: mc-includes\nHowto: 3.2\nOperation: apply\nRun: run-1"
    assert git(machine, "log", "-1", "--format=%an <%ae> %ai", "main").strip() == (
        "Bob x <bob@example.test> 2026-03-01 12:00:05 +0530"
    )


def test_plain_git_log_reads_the_history_of_a_file(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "mail/sendmail.mc").write_text("divert(0)dnl\nnew\n")
    commit(store)
    text = git(machine, "log", "-p", "main", "--", "etc/mail/sendmail.mc")
    assert "-MAILER(`local')dnl\n+new\n" in text
    assert text.count("\ncommit ") == 1
    assert git(machine, "rev-list", "--merges", "main") == ""


def test_diff_shows_content_and_metadata_in_words(machine: Machine) -> None:
    store = machine.store()
    path = machine.etc / "mail/sendmail.mc"
    path.write_bytes(b"divert(0)dnl\n\x1b[2Jclear\r\n")
    path.chmod(0o600)
    (machine.etc / "binary").write_bytes(b"\0\1\2" * 100)
    (machine.etc / "huge").write_bytes(b"line\n" * 400_000)
    (machine.etc / "empty").mkdir()
    os.setxattr(machine.etc / "group", "user.note", b"abc")
    if os.geteuid() == 0:
        os.chown(path, 107, 114)
    commit(store)
    text = store.diff("HEAD")
    assert "/etc/mail/sendmail.mc: mode 0644 -> 0600\n" in text
    assert "-MAILER(`local')dnl\n+\\x1b[2Jclear\\x0d\n" in text
    assert "Binary files /dev/null and b/etc/binary differ" in text
    assert "Binary files /dev/null and b/etc/huge differ" in text
    assert "/etc/empty: created, directory, mode 0755" in text
    assert "etc/group: attribute user.note added (3 bytes)\n" in text
    assert ".metadata" not in text
    assert ".record" not in text
    assert len(text) < 3000
    if os.geteuid() == 0:
        assert "/etc/mail/sendmail.mc: owner root -> smmta\n" in text
        assert "etc/mail/sendmail.mc: group root -> smmsp\n" in text


def test_every_kind_of_change_has_its_word(machine: Machine) -> None:
    for name in ("content", "metadata", "kind", "deleted", "both"):
        (machine.etc / name).write_text(name)
    store = machine.store()
    (machine.etc / "content").write_text("other")
    (machine.etc / "metadata").chmod(0o600)
    (machine.etc / "kind").unlink()
    (machine.etc / "kind").symlink_to("x")
    (machine.etc / "deleted").unlink()
    (machine.etc / "both").write_text("more")
    (machine.etc / "both").chmod(0o755)
    (machine.etc / "created").write_text("")
    expected = (
        PathChange("etc/both", What.CONTENT),
        PathChange("etc/content", What.CONTENT),
        PathChange("etc/created", What.CREATED),
        PathChange("etc/deleted", What.DELETED),
        PathChange("etc/kind", What.KIND),
        PathChange("etc/metadata", What.METADATA),
    )
    assert store.pending() == expected
    commit(store)
    assert store.changed("HEAD") == expected
    for one in expected:
        assert f"etc/{one.path[4:]}" in store.diff("HEAD")


def test_history_of_a_path_has_its_metadata_too_and_not_its_neighbours(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "mail/other").write_text("x")
    commit(store, subject="other")
    (machine.etc / "mail/sendmail.mc").chmod(0o600)
    commit(store, subject="mode")
    (machine.etc / "mail/sendmail.mc").write_text("x")
    commit(store, subject="content")
    subjects = [one.subject for one in store.history(path="etc/mail/sendmail.mc")]
    assert subjects == ["content", "mode", "a change"]
    assert [one.subject for one in store.history(limit=1, path="etc/mail/sendmail.mc")] == ["content"]
    assert [one.subject for one in store.history(limit=3)] == ["content", "mode", "other"]
    assert len(list(store.history(path="etc/mail"))) == 4
    assert list(store.history(path="etc/nothing")) == []


def test_find_says_what_there_is(machine: Machine) -> None:
    store = machine.open()
    with pytest.raises(StoreError, match=r"^there is no commit 'HEAD': the history is empty"):
        store.find("HEAD")
    first = commit(store, "baseline")
    commit(store, "apply", step="restart", record=b"1")
    second = commit(store, "apply", step="restart", record=b"2")
    commit(store, "rollback", step="restart", record=b"3")
    assert store.find("restart") == second
    assert first is not None
    assert store.find(first.id[:7]) == first
    with pytest.raises(
        StoreError, match=r"no commit or applied step 'restar'; did you mean restart\? Applied"
    ):
        store.find("restar")
    with pytest.raises(
        StoreError, match=r"'a2': of the id of a commit at least 4 digits are needed\. Applied"
    ):
        store.find("a2")
    with pytest.raises(StoreError, match=r"no commit or applied step 'nope\\x1b'. Applied steps: restart"):
        store.find("nope\x1b")
    with pytest.raises(StoreError, match="no commit"):
        store.entry("0" * 40 + "1", "etc")
    with pytest.raises(StoreError, match="0000000000"):
        store.changed("0" * 40)


def test_a_record_belongs_to_its_commit_alone(machine: Machine) -> None:
    store = machine.store()
    recorded = commit(store, "apply", step="install", record=b'{"packages": ["sendmail"]}\0\xff')
    assert recorded is not None
    assert store.changed(recorded) == ()
    assert store.diff(recorded) == ""
    assert commit(store) is None
    (machine.etc / "new").write_text("x")
    after = commit(store)
    assert after is not None
    assert store.record(recorded) == b'{"packages": ["sendmail"]}\0\xff'
    assert store.record(after) is None
    assert commit(store, record=b"") is not None
    assert store.record("HEAD") == b""


def test_an_opened_store_knows_its_newest_commit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (machine.etc / "hosts").write_text(f"{number}\n")
        commit(
            machine.open(), "drift" if number else "baseline", subject=f"The {number}th ő", reverts=["a" * 40]
        )
    newest = next(machine.open().history())
    store, reader = machine.open(), Store.open_existing(machine.store_path, root=machine.root)
    assert reader is not None

    def none(*_: object, **__: object) -> bytes:
        raise AssertionError("no git is needed for that")

    monkeypatch.setattr(GitRepository, "run", none)
    assert store.head() == reader.head() == newest


def test_a_branch_that_git_packed_is_found(machine: Machine) -> None:
    made = machine.store().head()
    git(machine, "pack-refs", "--all")
    assert not (machine.store_path / "refs/heads/main").exists()
    assert machine.open().head() == made
    (machine.etc / "hosts").write_text("x\n")
    assert commit(machine.open()) is not None


def test_a_commit_of_what_was_there_before_is_a_pack_too(machine: Machine) -> None:
    """Else one more git takes apart the pack of that commit alone."""
    store, path = machine.store(), machine.etc / "mail/sendmail.mc"
    before = path.read_bytes()
    for content in (b"other\n", before):
        path.write_bytes(content)
        commit(store)
    assert len(list(machine.store_path.glob("objects/pack/*.pack"))) == 3
    assert list(machine.store_path.glob("objects/??/*")) == []


def test_what_a_store_remembers_of_its_own_commits_is_what_git_says(machine: Machine) -> None:
    store, paths = machine.store(), ["etc/mail", "etc/mail/sendmail.mc", "etc/hosts"]

    def remembered(store: Store) -> list[object]:
        asked = [store.head(), list(store.history()), *(list(store.history(path=path)) for path in paths)]
        return [*asked, [store.entries(one, paths) for one in store.history()]]

    remembered(store)
    for number, name in enumerate(["mail/sendmail.mc", "hosts", "mail/new", "mail/sendmail.mc"]):
        (machine.etc / name).write_text(f"{number}\n")
        commit(
            store, "drift", subject=f"The {number}th  change", author=Author("Bob <x>", "bob@example.test")
        )
        assert remembered(store) == remembered(machine.open())
    assert [len(list(store.history(path=path))) for path in paths] == [4, 3, 1]
