"""The real m4 with sendmail's real cf files has the last word on what is live."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.editors.mc_collection import CF, REFUSED, UNDERSTOOD, Shape
from wizard.editors import EditError, sendmail_mc
from wizard.editors.sendmail_mc import Wanted

SHIPPED = "/usr/share/sendmail/cf"
TREE = Path(os.environ.get("MSA_WIZARD_TEST_CF", SHIPPED))
M4 = shutil.which("m4")
BUILT_IN = ["Name=MTA-v4, Family=inet", "Name=MTA-v6, Family=inet6"]  # with -D_NETINET6_

pytestmark = pytest.mark.skipif(
    M4 is None or not (TREE / "m4/cf.m4").exists(),
    reason="no m4, or no sendmail cf files (apt-get install m4 sendmail-cf, or set MSA_WIZARD_TEST_CF)",
)


@dataclass(frozen=True)
class RealM4:
    """The cf files with their absolute paths turned to where they are for the test."""

    cf: Path
    work: Path

    def cf_of(self, text: str) -> tuple[str, int]:
        """What m4 makes of the text, and its exit status."""
        for name in re.findall(r"include\(`?(/etc/[^')]+)", text):
            place = self.work / name.strip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(
                f"divert(0)dnl\ndefine(`confTO_{'IDENT' if 'sasl' in name else 'MAIL'}', `77s')dnl\n"
            )
        mc = self.work / "sendmail.mc"
        mc.write_bytes(
            text.replace(SHIPPED, str(self.cf)).replace("(`/etc/", f"(`{self.work}/etc/").encode("latin-1")
        )
        before = [] if "cf.m4" in text else [str(self.cf / "m4/cf.m4")]
        assert M4 is not None
        run = subprocess.run(
            [M4, f"-D_CF_DIR_={self.cf}/", "-D_NO_MAKEINFO_=1", "-D_NETINET6_=1", *before, str(mc)],
            capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        return run.stdout.decode("latin-1"), run.returncode


@pytest.fixture(scope="session")
def m4(tmp_path_factory: pytest.TempPathFactory) -> RealM4:
    """A copy of the tree: Debian's own files include one another by absolute path."""
    cf = tmp_path_factory.mktemp("cf") / "cf"
    shutil.copytree(TREE, cf)
    for path in cf.rglob("*.m4"):
        path.write_bytes(path.read_bytes().replace(SHIPPED.encode(), str(cf).encode()))
    return RealM4(cf, tmp_path_factory.mktemp("mc"))


def listeners(cf: str) -> list[str]:
    """The DaemonPortOptions that the file itself asked for, each on one line, blanks even.

    Without any, sendmail has a built-in one; and behind them one for 587, unless no_default_msa is there."""
    lines = re.findall(r"^O DaemonPortOptions=(.*(?:\n[ \t].*)*)", cf, re.M)
    found = [re.sub(r"\s+", " ", line).strip() for line in lines]
    if found and found[-1] == "Port=587, Name=MSA, M=E":
        found.pop()
    return [] if found == BUILT_IN else found


def ours(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", item.raw).strip() for item in sendmail_mc.daemon_options(text)]


def option(cf: str, name: str) -> str | None:
    found = re.findall(rf"^O {name}=(.*)$", cf, re.M)
    return found[-1].rstrip("\r") if found else None


def agrees(m4: RealM4, text: str) -> None:
    cf, status = m4.cf_of(text)
    assert status == 0
    assert ours(text) == listeners(cf)
    assert sendmail_mc.define_value(text, "confAUTH_OPTIONS") == option(cf, "AuthOptions")
    trusted = " ".join(re.findall(r"^C\{TrustAuthMech\}(.*)$", cf, re.M)).split()
    assert list(sendmail_mc.trusted_mechanisms(text)) == list(dict.fromkeys(trusted))


@pytest.mark.parametrize("shape", UNDERSTOOD, ids=lambda shape: shape.name)
def test_the_collection_as_m4_sees_it(m4: RealM4, shape: Shape) -> None:
    agrees(m4, shape.text)


@pytest.mark.parametrize("shape", UNDERSTOOD, ids=lambda shape: shape.name)
def test_what_is_inserted_reaches_the_cf(m4: RealM4, shape: Shape) -> None:
    text = sendmail_mc.add_include(
        shape.text, "/etc/mail/sasl/sasl.m4", "include(`/etc/mail/sasl/sasl.m4')dnl\n"
    )
    cf, status = m4.cf_of(text)
    assert status == 0
    assert option(cf, "Timeout.ident") == "77s"
    assert ours(text) == listeners(cf)
    text = sendmail_mc.set_define(text, "confAUTH_OPTIONS", "p y", "define(`confAUTH_OPTIONS',`p y')dnl\n")
    assert option(m4.cf_of(text)[0], "AuthOptions") == "p y"
    text = sendmail_mc.add_feature(text, "no_default_msa", "FEATURE(`no_default_msa')dnl\n")
    cf, status = m4.cf_of(text)
    assert status == 0
    assert "Name=MSA, M=E\n" not in cf


@pytest.mark.parametrize("shape", UNDERSTOOD, ids=lambda shape: shape.name)
@pytest.mark.parametrize("family", ["inet", "inet6"])
def test_listeners_that_were_set_are_what_m4_sees(m4: RealM4, shape: Shape, family: str) -> None:
    text = shape.text
    try:
        for service, require in (("submission", "Ea"), ("smtp", "A")):
            item = Wanted(service, family, "New", None, require, "S")
            text = sendmail_mc.set_listeners(text, service, [item], line, keep_addresses=True)
    except EditError as error:
        assert error.line is not None  # noqa: PT017 - the refusal names the line, and leaves the file alone
        return
    agrees(m4, text)
    for found in sendmail_mc.daemon_options(text):
        if found.service in ("submission", "smtp") and found.family in ("inet", "inet6"):
            assert set("Ea" if found.service == "submission" else "A") <= set(found.modifiers)


def line(item: Wanted) -> str:
    address = f", Addr={item.address}" if item.address else ""
    port = {"smtp": "smtp", "submission": "submission", "submissions": "465"}[item.service]
    return f"DAEMON_OPTIONS(`Family={item.family}, Name={item.name}, Port={port}{address}, M={item.require}')dnl\n"


@pytest.mark.parametrize(
    "name", ["an apostrophe opens", "a quote never closed", "a parenthesis never closed", "a macro's name in running text",
             "a backquote in running text"],
)  # fmt: skip
def test_what_is_refused_m4_cannot_use_either(m4: RealM4, name: str) -> None:
    shape = next(item for item in REFUSED if item.name == name)
    cf, status = m4.cf_of(shape.text)
    assert status != 0 or "Port=smtp, Name=MTA" not in listeners(cf)


KEYS = st.sampled_from(
    ["Port=smtp", "Port=587", "port=submission", "Name=MTA", "Name=MSA-v4", "Family=inet", "Family=inet6", "M=Ea", "M=E",
     "Modifiers=A b", "Addr=127.0.0.1", "Address=192.0.2.1", "children=4", "InputMailFilters=x"]
)  # fmt: skip
ARGUMENT = st.builds(
    str.join, st.sampled_from([", ", ",", ",\n  ", " , "]), st.lists(KEYS, min_size=1, max_size=4)
)
QUOTED = st.sampled_from(["`{}'", "``{}''", "{}", "dnl x\n`{}'", " `{}'"])
CALL = st.builds(lambda how, what: f"DAEMON_OPTIONS({how.format(what)})", QUOTED, ARGUMENT)
AROUND = st.sampled_from(
    ["{}dnl\n", "{}\n", "  {}dnl prose, isn't it\n", "dnl {}\n", "dnl# {}\n", "# {}\n", "{} {}dnl\n", "ifdef(`CF_LEVEL', `{}')dnl\n",
     "ifdef(`CF_LEVEL',, `{}')dnl\n", "EXPOSED_USER(`root'){}\n", "x{}\n", "1{}\n", "`quoted {}'\n", "define(`MY_OWN', `{}')dnl\nMY_OWN\nMY_OWN\n"]
)  # fmt: skip
OTHER = st.sampled_from(
    ["dnl # it's a comment\n", "define(`confAUTH_OPTIONS', `A p')dnl\n", "define(`confAUTH_OPTIONS',dnl\n`p,y')dnl\n",
     "undefine(`confAUTH_OPTIONS')dnl\n", "TRUST_AUTH_MECH(`LOGIN PLAIN')dnl\n", "TRUST_AUTH_MECH(`LOGIN') define(`confAUTH_OPTIONS', `n')\n",
     "FEATURE(`use_cw_file')dnl\n", "divert(-1)\n", "divert(0)dnl\n", "LOCAL_CONFIG\n# raw text\n", "\n", "# it's prose\n",
     "define(`confAUTH_OPTIONS', defn(`confAUTH_OPTIONS')` z')dnl\n", "changecom(`#')dnl\n", "changecom\n", "shift and divert\n"]
)  # fmt: skip
LINES = st.lists(
    st.one_of(st.builds(lambda around, call: around.replace("{}", call), AROUND, CALL), OTHER), max_size=9
)


@given(lines=LINES, mailers=st.booleans(), crlf=st.booleans(), last=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_files_are_read_as_m4_reads_them(
    m4: RealM4, lines: list[str], mailers: bool, crlf: bool, last: bool
) -> None:
    text = CF + "OSTYPE(`linux')dnl\n" + "".join(lines) + ("MAILER(`smtp')dnl\n" if mailers else "")
    text = text.replace("\n", "\r\n") if crlf else text
    text = text if last else text.rstrip("\r\n")
    cf, status = m4.cf_of(text)
    try:
        found = ours(text)
    except EditError:
        return
    assert status == 0
    assert found == listeners(cf)
    value = sendmail_mc.define_value(text, "confAUTH_OPTIONS")
    assert (value or "").strip() == (option(cf, "AuthOptions") or "").strip()
