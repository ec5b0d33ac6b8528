"""What the history says of a commit's effects that are no files."""

from __future__ import annotations

import json

from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.render.text import effect_lines


def test_packages_that_a_rollback_has_removed() -> None:
    """Its record begins with what the packages may call their own, which is nothing that was done."""
    claim = PackagesBefore({"sendmail": "8.18", "m4": "1.4"}, ("m4",))
    effect = PackagesEffect((), (("m4", "1.4"), ("sendmail", "8.18")), ())
    record = json.dumps({"effects": [claim.record(), effect.record()]}).encode()
    assert effect_lines(record) == ["package m4 1.4 removed", "package sendmail 8.18 removed"]
