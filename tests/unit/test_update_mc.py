"""What sendmailconfig changes in sendmail.mc by itself: whether it is worth asking it."""

from __future__ import annotations

import pytest

from tests.unit.steps.recorded import RECORDED
from wizard.engine.rewritten import may_rewrite


@pytest.mark.parametrize("release", ["debian-12", "debian-13", "debian-14"])
def test_debians_own_file_is_left_as_it_is(release: str) -> None:
    mail = RECORDED / release / "etc/mail"
    mc, conf = ((mail / name).read_text("latin-1") for name in ("sendmail.mc", "sendmail.conf"))
    assert not may_rewrite(mc, conf)
    for old, new in (
        ("DOMAIN(`debian-mta')dnl\n", ""),
        ("define(`_USE_ETC_MAIL_')dnl\n", ""),
        ("OSTYPE(`debian')", "OSTYPE(linux)"),
        ("FEATURE(`use_cw_file')", "  FEATURE(`smrsh', `/usr/sbin/smrsh')dnl\nFEATURE(`use_cw_file')"),
        ("FEATURE(`use_cw_file')", "FEATURE(nouucp)dnl\nFEATURE(`use_cw_file')"),
    ):
        assert old in mc
        assert may_rewrite(mc.replace(old, new), conf), new


@pytest.mark.parametrize(
    ("conf", "worth"), [('DAEMON_HOSTSTATS="No";\n', False), ("DAEMON_HOSTSTATS=Yes\n", True), ("", False)]
)
def test_what_sendmail_conf_switches(conf: str, worth: bool) -> None:
    mc = (RECORDED / "debian-13/etc/mail/sendmail.mc").read_text("latin-1")
    assert may_rewrite(mc, conf) is worth
