"""A setting is changed where it stands in answers.toml; comments, order and layout stay the admin's."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_answers_file import OWN
from wizard.editors import EditError
from wizard.editors.answers_toml import Value, set_value
from wizard.model.answers import Answers
from wizard.model.answers_file import parse
from wizard.model.set_option import changed
from wizard.render.files import as_toml

OURS = """\
# OUR TICKET 4711: do not change this without Anna.

[listen]   # as in the rack plan
submission = [
    "192.0.2.1",  # office
    '192.0.2.2',  # "branch" #2
]
"ipv6"=true# the provider gives /64
# smtp = ["127.0.0.1"]

[guess]
attempts = 9 # see 4711
# end
"""


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        (
            "# own\r\n[ guess ]\r\nattempts = 9\r\n",
            "guess.attempts",
            7,
            "# own\r\n[ guess ]\r\nattempts = 7\r\n",
        ),
        ("[guess]\r\nattempts = 9\r\n", "guess.window", "1h", '[guess]\r\nattempts = 9\r\nwindow = "1h"\r\n'),
        ("[guess]\r\nattempts = 9", "guess.window", "1h", '[guess]\r\nattempts = 9\r\nwindow = "1h"\r\n'),
        ("[guess]\r\nattempts = 9\r\n# x\r\n", "guess.attempts", None, "[guess]\r\n# x\r\n"),
        ("# of vi\n[guess]\r\nattempts = 9\r\n", "guess.attempts", 7, "# of vi\n[guess]\r\nattempts = 7\r\n"),
        (
            "[listen]\r\nsmtp = [  # all\r\n  '::1',\r\n]\r\n",
            "listen.smtp",
            ["::2"],
            '[listen]\r\n# all\r\nsmtp = ["::2"]\r\n',
        ),
        ("", "guess.attempts", 7, "\n\n[guess]\nattempts = 7\n"),
    ],
)
def test_lines_end_as_they_did(before: str, name: str, value: Value | None, after: str) -> None:
    assert set_value(before, name, value) == after


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("guess.attempts", 7, "attempts = 9 # see", "attempts = 7 # see"),
        ("listen.ipv6", False, '"ipv6"=true#', '"ipv6"=false#'),
        ("listen.implicit_tls", True, "/64\n", "/64\nimplicit_tls = true\n"),
        ("guess.window", "1h", "4711\n# end", '4711\nwindow = "1h"\n# end'),
        (
            "listen.smtp",
            ["127.0.0.1", "::1"],
            '# smtp = ["127.0.0.1"]\n',
            '# smtp = ["127.0.0.1"]\nsmtp = ["127.0.0.1", "::1"]\n',
        ),
        ("guess.attempts", None, "attempts = 9 # see 4711\n", "# see 4711\n"),
        ("test.user", None, "", ""),
        (
            "listen.submission",
            ["192.0.2.3"],
            """submission = [\n    "192.0.2.1",  # office\n    '192.0.2.2',  # "branch" #2\n]\n""",
            """# office\n# "branch" #2\nsubmission = ["192.0.2.3"]\n""",
        ),
    ],
)
def test_one_setting_is_changed_and_the_rest_stays(
    name: str, value: Value | None, before: str, after: str
) -> None:
    assert before in OURS
    assert set_value(OURS, name, value) == OURS.replace(before, after, 1)


def test_what_has_no_place_yet_gets_one() -> None:
    assert set_value(OURS, "test.user", 'a"b') == f'{OURS}\n[test]\nuser = "a\\"b"\n'
    assert set_value(OURS, "accept", ["logins"]) == f'accept = ["logins"]\n\n{OURS}'
    assert set_value("guess.attempts = 9", "guess.ban", "1h") == 'guess.attempts = 9\nguess.ban = "1h"\n'


def test_a_section_in_one_line_becomes_a_line_for_each() -> None:
    text = "# ours\r\nguess = {attempts = 9, limit = true} # 4711\r\ntest = {}\r\n"
    text = set_value(set_value(set_value(text, "guess.attempts", 7), "guess.ban", "1h"), "test.user", "a")
    assert text == (
        '# ours\r\nguess.attempts = 7\r\nguess.limit = true # 4711\r\nguess.ban = "1h"\r\ntest.user = "a"\r\n'
    )


def test_what_is_no_toml_is_left_alone() -> None:
    with pytest.raises(EditError, match="line 2: attempts = 9 9: this is no TOML"):
        set_value("[guess]\nattempts = 9 9\n", "guess.ban", "1h")


COMMENT = st.sampled_from(["", "# x", '# "', "# a = 1 # b", "#[guess]", "# attempts = 3", "# never = ["])
SPACE = st.sampled_from(["", " ", "\t", "  "])
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "guess.attempts": st.integers(1, 100),
    "guess.limit": st.booleans(),
    "guess.never": st.lists(st.sampled_from(["192.0.2.0/24", "2001:db8::/32"]), unique=True),
    "test.user": st.sampled_from(["alice", "b.c"]),
    "accept": st.lists(st.sampled_from(["logins", "cf-lines"]), unique=True),
}


@st.composite
def files(draw: st.DrawFn) -> str:
    """What somebody may have written: sections, dotted keys or tables in one line, lists over several lines, comments."""
    written = draw(st.fixed_dictionaries({}, optional=VALUES))
    sections: dict[str, dict[str, Value]] = {}
    for name, value in written.items():
        section, _, key = name.rpartition(".")
        sections.setdefault(section, {})[key] = value

    def shown(value: Value) -> str:
        if not isinstance(value, list) or draw(st.booleans()):
            return str(value).lower() if isinstance(value, bool) else f"{value!r}"
        return "[" + "".join(f"{draw(COMMENT)}\n {each!r}," for each in value) + f"{draw(COMMENT)}\n]"

    head, tail = [draw(COMMENT)], list[str]()
    for section, values in sections.items():
        style = draw(st.sampled_from(["dotted", "inline", "header"])) if section else "dotted"
        if style == "inline":
            pairs = ", ".join(f"{key}{draw(SPACE)}= {shown(value)}" for key, value in values.items())
            head.append(f"{section} = {{{pairs}}}{draw(SPACE)}{draw(COMMENT)}")
            continue
        where, prefix = (head, f"{section}." if section else "") if style == "dotted" else (tail, "")
        if style == "header":
            tail.append(f"[{draw(SPACE)}{section}]{draw(SPACE)}{draw(COMMENT)}")
        for key, value in values.items():
            where += [draw(COMMENT), f"{prefix}{key}{draw(SPACE)}={draw(SPACE)}{shown(value)}{draw(COMMENT)}"]
    return draw(st.sampled_from(["\n", "\r\n"])).join([*head, *tail, draw(COMMENT)])


@given(files(), st.sampled_from([*VALUES]), st.data())
def test_however_it_was_written_the_setting_comes_out_and_no_comment_goes(
    text: str, name: str, data: st.DataObject
) -> None:
    def named(text: str) -> dict[str, object]:
        found = dict[str, object]()
        for key, value in tomllib.loads(text).items():
            found |= (
                {f"{key}.{each}": held for each, held in value.items()}
                if isinstance(value, dict)
                else {key: value}
            )
        return found

    value = data.draw(st.none() | VALUES[name])
    new = set_value(text, name, value)
    wanted = {key: held for key, held in named(text).items() if key != name}
    assert named(new) == (wanted if value is None else wanted | {name: value})
    assert new.count("#") >= text.count("#")


def test_a_file_of_ours_takes_every_setting_and_gives_it_back() -> None:
    text = as_toml(Answers())
    for before, after in ((Answers(), OWN), (OWN, Answers())):
        for name, value in changed(after, before):
            text = set_value(text, name, value or (None if name.startswith("auth.") else value))
        assert parse(text) == after
    assert text == as_toml(Answers())
