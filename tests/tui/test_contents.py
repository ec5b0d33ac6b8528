"""Colours of what is drawn alike everywhere: on a white terminal yellow and cyan cannot be read."""

from __future__ import annotations

import pytest
from textual.content import Content

from screens.widgets.contents import check_content, emphatic, endings_content, line_shown, with_meaning
from wizard.maillog.correlate import ConversationLine
from wizard.model.plan import Check, Ending, Sign

LOG = ConversationLine(0.0, "log", "sm-mta[4559]: " + "some words of it " * 8, "what it means, " * 8)
REMARK = ConversationLine(0.0, "note", "it ended without a message", "")
REMEDY = "say so to whoever runs it:\n  systemctl restart saslauthd"


def shown(line: ConversationLine) -> Content:
    text, style = line_shown(line)
    return with_meaning(text, line.explanation, style)


@pytest.mark.parametrize(
    ("content", "faint"),
    [
        (shown(LOG), ["|", "-"]),
        (shown(REMARK), ["#"]),
        (emphatic("! This file exists already"), ["!"]),
        (endings_content([Ending("sasl-users", "logins of 3 users", ("alice",))], 60), ["!"]),
        (
            check_content(Check("x", Sign.WARNING, "it does not run", REMEDY), 60),
            ["! warn", "systemctl restart saslauthd"],
        ),
    ],
)
def test_signs_and_what_one_can_type_have_a_faint_colour_and_sentences_have_none(
    content: Content, faint: list[str]
) -> None:
    spans = [span for span in content.spans if "yellow" in str(span.style) or "cyan" in str(span.style)]
    coloured = [content.plain[span.start : span.end].strip() for span in spans]
    assert [words for words in coloured if words] == faint
