"""Three states made one: every field on its own, texts by lines, account databases by records."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.format.layout import Owners
from snapshots.live.entry import Entry, Kind
from snapshots.merge.accounts import database, merge_accounts, records_of
from snapshots.merge.path_merge import Conflict, EntryMerge, merge_path
from snapshots.merge.three_way import Choice, ContentMerge, merge_text

FILE = Entry(Kind.FILE, 0o644, 0, 0, b"text\n")
FOLDER = Entry(Kind.DIRECTORY, 0o755, 0, 0)
LINK = Entry(Kind.SYMLINK, 0o777, 0, 0, b"target")
FIFO = Entry(Kind.SPECIAL, 0o644, 0, 0, special="fifo")
ACL = (("system.posix_acl_access", struct.pack("<I", 2)),)


def merged(
    base: Entry | None, ours: Entry | None, theirs: Entry | None, choice: Choice | None = None
) -> EntryMerge:
    return merge_path("etc/x", base, ours, theirs, choice=choice, owners=Owners(Path("/nonexistent")))


STATES = [None, FILE, replace(FILE, mode=0o600), replace(FILE, content=b"other\n"), FOLDER, LINK, FIFO]


@pytest.mark.parametrize("one", STATES)
@pytest.mark.parametrize("other", STATES)
def test_what_one_side_alone_changed_is_settled(one: Entry | None, other: Entry | None) -> None:
    assert merged(one, one, other) == EntryMerge(other)
    assert merged(one, other, one) == EntryMerge(other)
    assert merged(one, other, other) == EntryMerge(other)


def test_fields_that_different_sides_changed_come_together() -> None:
    base = replace(FILE, xattrs=(("user.a", b"1"), ("user.b", b"1")))
    ours = replace(base, mode=0o600, uid=5, xattrs=(("user.b", b"1"), ("user.c", b"3")))
    theirs = replace(base, gid=7, content=b"new\n", xattrs=(("user.a", b"1"), ("user.b", b"2")))
    assert merged(base, ours, theirs) == EntryMerge(
        Entry(Kind.FILE, 0o600, 5, 7, b"new\n", (("user.b", b"2"), ("user.c", b"3")))
    )


def test_fields_that_both_sides_changed_are_conflicts_until_somebody_chooses() -> None:
    base = replace(FILE, mode=0o640, xattrs=(("user.a", b"1"),))
    ours = replace(base, mode=0o600, uid=1, gid=1, xattrs=(("user.a", b"22"),))
    theirs = replace(base, mode=0o644, uid=2, gid=2, xattrs=())
    assert merged(base, ours, theirs).conflicts == (
        Conflict("etc/x", "mode", "mode: 0600 now, 0640 as the step left it, 0644 before"),
        Conflict("etc/x", "owner", "owner: 1 now, 0 as the step left it, 2 before"),
        Conflict("etc/x", "group", "group: 1 now, 0 as the step left it, 2 before"),
        Conflict(
            "etc/x", "xattrs", "attribute user.a: 2 bytes now, 1 bytes as the step left it, none before"
        ),
    )
    assert merged(base, ours, theirs, Choice.KEEP) == EntryMerge(ours)
    assert merged(base, ours, theirs, Choice.RESTORE) == EntryMerge(theirs)


def test_owners_have_the_names_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("smmta:x:107:113::/:/bin/sh\n")
    sides = FILE, replace(FILE, uid=107), replace(FILE, uid=9)
    merge = merge_path("etc/x", *sides, choice=None, owners=Owners(tmp_path))
    assert merge.conflicts[0].text == "owner: smmta (107) now, 0 as the step left it, 9 before"


def test_a_mode_and_its_access_list_are_one_field() -> None:
    theirs, ours = replace(FILE, mode=0o600), replace(FILE, xattrs=ACL)
    (conflict,) = merged(FILE, ours, theirs).conflicts
    assert conflict.text == "mode: 0644 with an access list now, 0644 as the step left it, 0600 before"
    assert merged(FILE, ours, theirs, Choice.KEEP).entry == ours
    assert merged(FILE, ours, theirs, Choice.RESTORE).entry == theirs


def test_link_targets_that_both_sides_changed_are_a_conflict() -> None:
    ours, theirs = replace(LINK, content=b"mine\x1b"), replace(LINK, content=b"old")
    (conflict,) = merged(LINK, ours, theirs).conflicts
    assert conflict.what == "content"
    assert conflict.text == "target: mine\\x1b now, target as the step left it, old before"
    assert merged(LINK, ours, theirs, Choice.RESTORE).entry == theirs


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "what", "text"),
    [
        (FILE, replace(FILE, mode=0o600), None, "deletion", "the step made it; it was changed since (mode)"),
        (FOLDER, LINK, None, "deletion", "the step made it; it was changed since (kind, content, mode)"),
        (
            None, replace(FILE, content=b""), FILE, "deletion",
            "the step deleted it; it was made again since, but not as it was before (content)",
        ),
        (FILE, LINK, replace(FILE, mode=0o600), "kind", "kind: symlink now, file as the step left it, file before"),
        (LINK, replace(LINK, uid=5), FILE, "kind", "kind: symlink now, symlink as the step left it, file before"),
        (FOLDER, FILE, FIFO, "kind", "kind: file now, directory as the step left it, fifo before"),
    ],
)  # fmt: skip
def test_what_cannot_be_both_is_a_conflict(
    base: Entry | None, ours: Entry, theirs: Entry | None, what: str, text: str
) -> None:
    other = base or theirs
    sides = (other, ours) if what == "deletion" and other else None
    assert merged(base, ours, theirs) == EntryMerge(ours, (Conflict("etc/x", what, text, sides),))
    assert merged(base, ours, theirs, Choice.KEEP) == EntryMerge(ours)
    assert merged(base, ours, theirs, Choice.RESTORE) == EntryMerge(theirs)


def test_what_was_deleted_since_comes_back_and_a_folder_with_another_mode_goes() -> None:
    assert merged(FILE, None, replace(FILE, mode=0o600)).entry == replace(FILE, mode=0o600)
    assert "brought back" in merged(FILE, None, replace(FILE, mode=0o600)).note
    gone = merged(FOLDER, replace(FOLDER, mode=0o700), None)
    assert (gone.entry, gone.conflicts) == (None, ())
    assert "goes" in gone.note


def test_lines_of_both_sides_come_together_byte_for_byte() -> None:
    base = b"a\r\nb\r\nc\xff\r\nd\r\ne"
    ours = b"first\r\na\r\nb\r\nc\xff\r\nd\r\ne"
    theirs = b"a\r\nb\r\nc\xff\r\nD\r\ne"
    wanted = ContentMerge(b"first\r\na\r\nb\r\nc\xff\r\nD\r\ne")
    assert merge_text(base, ours, theirs, None) == wanted


def test_conflicting_hunks_are_shown_and_chosen_one_by_one() -> None:
    base = b"1\n2\n3\n4\n5\n6\n<<<<<<< not a marker\n"
    ours = b"mine\x1b\n2\n3\n4\n5\n6\n<<<<<<< not a marker\nmore\n"
    theirs = b"old\n2\n3\nolder\n5\n6\n<<<<<<< not a marker\n"
    assert merge_text(base, ours, theirs, None).conflict == (
        "<<<<<<<< as it is now\nmine\\x1b\n|||||||| as the step left it\n1\n========\nold\n>>>>>>>> as it was before"
    )
    keep = merge_text(base, ours, theirs, Choice.KEEP)
    assert keep == ContentMerge(b"mine\x1b\n2\n3\nolder\n5\n6\n<<<<<<< not a marker\nmore\n")
    restore = merge_text(base, ours, theirs, Choice.RESTORE)
    assert restore == ContentMerge(b"old\n2\n3\nolder\n5\n6\n<<<<<<< not a marker\nmore\n")


def test_what_two_have_added_in_the_same_place_can_both_stay() -> None:
    base, ours, theirs = b"1\n2\n3", b"1\n2\n3\nhis\nhis too\n", b"1\n2\n3\nmine\n"
    assert merge_text(base, ours, theirs, Choice.BOTH).content == b"1\n2\n3\nhis\nhis too\nmine\n"
    assert merge_text(base, b"1\n2\nthree", ours, Choice.BOTH).conflict
    assert merge_text(b"1\n", b"one\n", b"uno\n", Choice.BOTH).conflict
    assert merge_text(b"1\n", b"\0", b"uno\n", Choice.BOTH).conflict


def test_binaries_are_not_merged() -> None:
    sides = (b"a\nb\n", b"a\nb\n\0", b"A\nb\n")
    assert merge_text(*sides, None) == ContentMerge(
        sides[1],
        "content, binary: 5 bytes as it is now, 4 bytes as the step left it, 4 bytes as it was before",
    )
    assert merge_text(*sides, Choice.KEEP).content == sides[1]
    assert merge_text(*sides, Choice.RESTORE).content == sides[2]


def test_twenty_megabytes_are_merged_and_a_wall_of_conflicts_is_cut() -> None:
    middle = b"".join(b"%0199d\n" % number for number in range(100_000))
    merge = merge_text(b"a\n" + middle, b"a\n" + middle + b"z\n", b"b\n" + middle, None)
    assert merge.content == b"b\n" + middle + b"z\n"
    wall = [b"%d %d\n" % (number, side) for side in range(3) for number in range(900)]
    base, ours, theirs = (b"".join(wall[at : at + 900]) for at in (0, 900, 1800))
    many = merge_text(base, ours, theirs, None)
    assert many.conflict.endswith("\n… 2304 more lines")


lines = st.lists(st.sampled_from([b"a", b"b", b"", b"c\r", b"====", b"<<<<<<< x"]), max_size=6)
texts = st.builds(lambda found, last: b"\n".join(found) + last, lines, st.sampled_from([b"", b"\n"]))


@settings(deadline=None)
@given(base=texts, ours=texts, theirs=texts)
def test_a_choice_leaves_no_conflict_and_no_marker(base: bytes, ours: bytes, theirs: bytes) -> None:
    sides = {line for text in (ours, theirs) for line in text.split(b"\n")}
    for choice in (Choice.KEEP, Choice.RESTORE):
        merge = merge_text(base, ours, theirs, choice)
        assert merge.conflict == ""
        assert set(merge.content.split(b"\n")) <= sides
    if not merge_text(base, ours, theirs, None).conflict:
        assert merge_text(base, ours, theirs, None) == merge


def test_the_account_databases_are_known_by_their_paths() -> None:
    paths = (
        "etc/passwd",
        "etc/shadow-",
        "etc/gshadow",
        "etc/subuid-",
        "etc/passwd.bak",
        "etc/x/group",
        "group",
    )
    assert [database(path) for path in paths] == ["passwd", "shadow", "gshadow", "subuid", None, None, None]


def accounts(name: str, base: str, ours: str, theirs: str, choice: Choice | None = None) -> str:
    merge = merge_accounts(name, base.encode(), ours.encode(), theirs.encode(), choice)
    return merge.conflict or merge.content.decode()


def test_users_that_go_and_users_that_came_since_do_not_meet() -> None:
    before, step, admin = "root:x:0\nbin:x:2\n", "smmta:x:107\nsmmsp:x:108\n", "alice:x:1000\n"
    assert accounts("passwd", before + step, before + step + admin, before) == before + admin
    assert accounts("passwd", before + step, before + "smmta:x:107\n" + admin, before) == before + admin
    assert accounts("subuid", before + step, before + step + admin, before) == before + admin


def test_records_that_come_back_stand_where_they_stood() -> None:
    theirs = "first:x\na:x\nlost:x\nalso:x\nb:x\nlast:x\n"
    assert accounts("passwd", "a:x\nb:x\n", "b:x\na:x\nmine:x\n", theirs) == (
        "first:x\nb:x\nlast:x\na:x\nlost:x\nalso:x\nmine:x\n"
    )


def test_members_are_merged_as_sets() -> None:
    base, theirs = "sasl:x:45:smmsp,smmta\nmail:x:8:\n", "sasl:x:45:smmsp\nmail:x:8:\n"
    assert accounts("group", base, "sasl:x:45:smmsp,smmta,alice\nmail:x:8:bob\n", theirs) == (
        "sasl:x:45:smmsp,alice\nmail:x:8:bob\n"
    )
    assert accounts("group", base, "sasl:x:450:alice,smmsp,smmta\nmail:x:8:\n", theirs) == (
        "sasl:x:450:alice,smmsp\nmail:x:8:\n"
    )
    assert accounts("gshadow", "g:!:a,b:c\n", "g:!:a,b,d:c\n", "g:!:b:\n") == "g:!:b,d:\n"
    assert accounts("group", "g:x:1:a\n", "g:x:2:a,b\n", "g:x:3:\n", Choice.KEEP) == "g:x:2:b\n"
    assert accounts("group", "g:x:1:a\n", "g:x:2:a,b\n", "g:x:3:\n", Choice.RESTORE) == "g:x:3:b\n"


def test_a_record_that_both_changed_is_a_conflict_that_shows_no_password(tmp_path: Path) -> None:
    base, ours, theirs = (f"alice:{word}:1:\nbob:x:1\n" for word in ("$y$old", "$y$mine", "!"))
    ours += "eve:x:1\n"
    sides = [Entry(Kind.FILE, 0o640, 0, 42, side.encode()) for side in (base, ours, theirs)]
    merge = merge_path("etc/shadow", *(sides[0], sides[1], sides[2]), choice=None, owners=Owners(tmp_path))
    assert merge.conflicts[0].text == (
        "<<<<<<< as it is now\nalice:[password 1]:1:\n||||||| as the step left it\nalice:[password 2]:1:\n"
        "=======\nalice:!:1:\n>>>>>>> as it was before"
    )
    assert accounts("shadow", base, ours, theirs, Choice.KEEP) == ours
    assert accounts("shadow", base, ours, theirs, Choice.RESTORE) == theirs + "eve:x:1\n"
    assert accounts("passwd", "a:1\n", "", "a:2\n") == (
        "<<<<<<< as it is now\n||||||| as the step left it\na:1\n=======\na:2\n>>>>>>> as it was before"
    )


def test_odd_lines_of_an_account_database_stay() -> None:
    odd = "+::::::\n\n# a comment\n\ndouble:x\ndouble:y\nno colon"
    assert accounts("passwd", f"s:x\n{odd}", f"s:x\nmine:x\n{odd}", odd) == f"mine:x\n{odd}"
    assert accounts("passwd", "a:x\n", "b:x\n", "") == "b:x\n"
    assert accounts("passwd", "a:x\n", "a:x", "") == ""


records = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2"]), max_size=5).map(
    lambda found: "".join(f"{name}:{value}\n" for name, value in found.items())
)


@given(base=records, ours=records, theirs=records)
def test_no_record_of_the_admin_is_lost_without_a_word(base: str, ours: str, theirs: str) -> None:
    if "<" in (result := accounts("passwd", base, ours, theirs)):
        return
    added = set(ours.splitlines()) - set(base.splitlines())
    assert added <= set(result.splitlines())
    names = [line.split(":")[0] for line in result.splitlines()]
    assert len(names) == len(set(names))
    for choice in Choice:
        assert "<" not in accounts("passwd", base, ours, theirs, choice)
    again = merge_accounts("passwd", base.encode(), result.encode(), theirs.encode(), None)
    assert sorted(again.content.splitlines()) == sorted(result.encode().splitlines())


def test_what_named_accounts_are_is_told_from_the_rest() -> None:
    """The records that packages brought, without those of an admin who worked at the same time."""
    base = b"root:x:0:\nadm:x:4:\nsasl:x:45:alice\n"
    live = b"root:x:0:\ndevs:x:1001:alice,smmta\nadm:x:4:bob\nsasl:x:45:alice,bob,smmta,smmsp\nsmmta:x:114:\n"
    ours = records_of("group", base, live, {"smmta", "smmsp"})
    assert ours == b"root:x:0:\nadm:x:4:\nsasl:x:45:alice,smmta,smmsp\nsmmta:x:114:\n"
    without = records_of("group", live, base, {"smmta", "smmsp"})
    assert without == b"root:x:0:\ndevs:x:1001:alice,smmta\nadm:x:4:bob\nsasl:x:45:alice,bob\n"
    merge = merge_accounts("group", ours, live, base, None)
    assert merge == ContentMerge(without)


def test_a_password_that_was_changed_meanwhile_is_nobody_elses() -> None:
    base = b"root:*:1::\nalice:old:1::\n"
    live = b"root:*:1::\nalice:new:2::\nsmmta:!:2::\nbob:b:2::\n"
    ours = records_of("shadow", base, live, {"smmta"})
    assert ours == b"root:*:1::\nalice:old:1::\nsmmta:!:2::\n"
    assert (
        merge_accounts("shadow", ours, live, base, None).content == b"root:*:1::\nalice:new:2::\nbob:b:2::\n"
    )


def test_ranges_of_ids_are_told_apart_by_the_user() -> None:
    live = b"bob:100000:65536\nsmmta:165536:65536\n"
    assert records_of("subuid", b"", live, {"smmta"}) == b"smmta:165536:65536\n"
    assert records_of("subuid", live, b"", {"smmta"}) == b"bob:100000:65536\n"
