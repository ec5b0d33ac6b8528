"""Names in the tree, lines of metadata, messages and authors: what goes in comes out, and nothing is forged."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.format import layout
from snapshots.format.layout import Owners, parse_fields, parse_listing, render_fields, render_listing
from snapshots.format.message import Author, author_from_environment, compose, parse_commit
from snapshots.git.processes import raw_date
from snapshots.live.entry import Entry, Kind

names = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.sampled_from(
        [b".git", b".GIT", b"git~1", b"%", b"%.git", b"a\\.git", b".gitattributes", b".g\xe2\x80\x8cit"]
    ),
).map(lambda name: name.replace(b"\0", b"0").replace(b"/", b"1"))


@given(parts=st.lists(names, min_size=1, max_size=4))
def test_names_in_the_tree_come_back_and_are_none_of_gits_own(parts: list[bytes]) -> None:
    path = b"/".join(parts)
    name = layout.to_tree(path)
    assert layout.from_tree(name) == path
    assert layout.folder_of_listing(layout.listing_of(path)) == path
    assert b".git" not in name.lower().split(b"/")
    assert b".git" not in name.lower().replace(b"/", b"\\").split(b"\\")


@given(entries=st.dictionaries(names, st.binary(min_size=1).filter(lambda one: b"\n" not in one)))
def test_listings_come_back(entries: dict[bytes, bytes]) -> None:
    text = render_listing(entries.items())
    assert parse_listing(text) == entries
    assert text.count(b"\n") == len(entries)


@given(
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    special=st.sampled_from(["", "fifo", "socket", "char:1:3"]),
    xattrs=st.dictionaries(st.text("ab= \\\n\udcff", min_size=1).map("user.".__add__), st.binary()),
)
def test_metadata_comes_back(
    tmp_path_factory: pytest.TempPathFactory, mode: int, uid: int, special: str, xattrs: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_bytes(b"odd na\\me\xff:x:%d:0::/:\nbroken line\n" % uid)
    kind = Kind.SPECIAL if special else Kind.FILE
    entry = Entry(kind, mode, uid, 5, b"", tuple(sorted(xattrs.items())), special)
    metadata = parse_fields(render_fields(entry, Owners(root)))
    assert metadata.describes(entry)
    assert metadata.with_content(b"") == entry
    assert (metadata.owner, metadata.group) == ("odd na\\me\udcff", "")


def test_a_listing_is_readable_text(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/:\n")
    (root / "etc/group").write_text("smmsp:x:114:\n")
    fields = render_fields(Entry(Kind.FILE, 0o640, 0, 114, b"", (("user.a", b"hi"),)), Owners(root))
    text = render_listing([(b"two words\n", fields), ("Főtanúsítvány".encode(), fields), (b"-x", b"fifo")])
    assert text.decode() == (
        "-x fifo\n"
        "Főtanúsítvány file 0640 root:0 smmsp:114 user.a=6869\n"
        "two\\x20words\\x0a file 0640 root:0 smmsp:114 user.a=6869\n"
    )


@given(subject=st.text(), body=st.text(), run=st.text(), reverts=st.integers(0, 9))
def test_no_text_forges_a_trailer(subject: str, body: str, run: str, reverts: int) -> None:
    ids = tuple(f"{number:040x}" for number in range(reverts))
    message = compose(
        subject=subject, body=body, step="mc-includes", howto="3.2", operation="apply", run="r" + run,
        reverts=ids,
    )  # fmt: skip
    commit = parse_commit("0" * 40, Author("a", "b"), datetime.datetime.now().astimezone(), message)
    assert (commit.operation, commit.step, commit.howto, commit.reverts) == (
        "apply",
        "mc-includes",
        "3.2",
        ids,
    )
    assert commit.run.startswith("r")
    assert sum(
        line.startswith(("Step:", "Operation:", "Howto:", "Run:", "Reverts:"))
        for line in message.splitlines()[1:]
    ) == 4 + bool(ids)
    assert not any(ord(one) < 0x20 and one != "\t" for line in message.split("\n") for one in line)


def test_a_body_that_looks_like_trailers_is_kept_but_set_apart() -> None:
    body = f"text\n\nStep: forged\noperation : rollback\nReverts: {'1' * 40}\n"
    message = compose(subject="Step: x", body=body, step=None, howto=None, operation="drift", run="7")
    assert message == (
        "Step: x\n\ntext\n\n  Step: forged\n  operation : rollback\n  Reverts: "
        f"{'1' * 40}\n\nOperation: drift\nRun: 7\n"
    )
    assert parse_commit("0" * 40, Author("a", "b"), datetime.datetime.now(), message).reverts == ()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"SUDO_USER": "alice", "LOGNAME": "root"}, "alice"),
        ({"LOGNAME": "bob"}, "bob"),
        ({}, "root"),
        ({"SUDO_USER": "a<b>\n\0c\x1b[2J"}, "ab c [2J"),
        ({"SUDO_USER": " <>. "}, "root"),
        ({"SUDO_USER": "x" * 500}, "x" * 64),
    ],
)
def test_the_author_is_the_admin_behind_the_login(environ: dict[str, str], name: str) -> None:
    author = author_from_environment(environ, "mail.example.test")
    assert author.email == f"{name.replace(' ', '')}@mail.example.test"
    assert author.name == name
    assert author.signature().count(b"<") == author.signature().count(b">") == 1


def test_dates_are_what_git_takes() -> None:
    zone = datetime.timezone(-datetime.timedelta(hours=3, minutes=30))
    assert raw_date(datetime.datetime(1970, 1, 2, tzinfo=zone)) == b"99000 -0330"
    assert raw_date(datetime.datetime(1960, 1, 1, tzinfo=datetime.UTC)) == b"0 +0000"
    far = datetime.timezone(datetime.timedelta(hours=23))
    assert raw_date(datetime.datetime(1980, 1, 1, tzinfo=far)).endswith(b"+0000")
