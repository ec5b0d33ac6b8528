"""What a server says that is asked for its ACME directory: a directory, or anything else."""

from __future__ import annotations

import http.client
import io
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from wizard.gather import acme
from wizard.gather.acme import directory, look_at_acme
from wizard.model.answers import STANDALONE, Certificate
from wizard.model.facts import Acme
from wizard.system.host import Completed, Host

SERVER = "https://ca.example.org/dir"
META = '{"newOrder": "https://ca.example.org/order", "meta": %s}'


def said(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> Acme:
    def urlopen(*_: Any, **__: Any) -> io.BytesIO:
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return directory(SERVER)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        http.client.BadStatusLine("220 mail.example.org ESMTP"),
        http.client.IncompleteRead(b""),
    ],
)
def test_a_server_of_another_kind_is_no_acme_directory(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception
) -> None:
    assert said(monkeypatch, answer) == Acme(unreachable=f"{SERVER} is no ACME directory")


@pytest.mark.parametrize(
    "meta",
    ["null", '"x"', "[1]", "7", '{"termsOfService": null, "caaIdentities": null}', '{"caaIdentities": "x"}'],
)
def test_what_an_authority_leaves_open_is_not_known(monkeypatch: pytest.MonkeyPatch, meta: str) -> None:
    assert said(monkeypatch, (META % meta).encode()) == Acme()


def test_what_an_authority_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    meta = '{"termsOfService": "https://ca.example.org/t\\u001b[2J", "caaIdentities": ["ca.example.org", 7, null]}'
    seen = said(monkeypatch, (META % meta).encode())
    assert (seen.unreachable, seen.identities) == ("", ("ca.example.org",))
    assert seen.terms.startswith("https://ca.example.org/t")
    assert "\x1b" not in seen.terms


@pytest.mark.parametrize(
    ("here", "path", "beside"),
    [
        ((), "/usr/local/bin/certbot", "/usr/local/bin/certbot"),
        ((), "/snap/bin/certbot", "/snap/bin/certbot"),
        ((), "/usr/bin/certbot", "/usr/bin/certbot"),
        (("certbot",), "/usr/bin/certbot", ""),
        (("certbot",), "/usr/local/bin/certbot", ""),
        ((), "/usr/bin/other", ""),
    ],
)
def test_another_certbot_than_debians_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...], path: str, beside: str
) -> None:
    monkeypatch.setattr(acme, "installed", lambda _: here)
    monkeypatch.setattr(acme, "apt_simulation", lambda *_: None)
    monkeypatch.setattr(acme, "_addresses", lambda _: ((), ""))
    monkeypatch.setattr(acme, "directory", lambda _: Acme())
    monkeypatch.setattr(acme, "_caa", lambda *_: "")
    monkeypatch.setattr(Host, "run", lambda *_, **__: Completed((), 0, "", "", 0.1))
    host = Host(tmp_path)
    host.path(path).parent.mkdir(parents=True)
    host.path(path).touch()
    assert look_at_acme(host, Certificate(STANDALONE), ("mail.example.org",)).beside == beside
