"""An ACME authority outside the machine: Debian's pebble, with a name server that says what a test wants, in the network of the
mail client. And a door before it that refuses as real authorities do, where pebble never would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.authority import Authority
from tests.system.machine import Machine

NAME = "mail.example.test"
HOST = "acme.example.test"
SERVER = f"https://{HOST}:14000/dir"
DOOR = f"https://{HOST}:14001/dir"
"""The same authority, by way of the door that refuses."""
LETS_ENCRYPT, STAGING = "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"
"""The same authority once more, by way of that door: to the machine it is Let's Encrypt, and its staging."""
ADDRESS = "198.51.100.2"
WORDS = ("--email", "admin@example.test", "--agree-tos", "--server")

_DOOR = """
import http.server, json, ssl, sys, urllib.error, urllib.request
certificate, key, refusal, port, orders = sys.argv[1:]
inside = ssl.create_default_context(); inside.check_hostname = False; inside.verify_mode = ssl.CERT_NONE

class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        problem = open(refusal).read().strip()
        path = self.path.replace("/directory", "/dir")
        if "order-plz" in path and self.command == "POST":
            with open(orders, "a") as file: file.write(self.headers["Host"] + "\\n")
        asked = urllib.request.Request(f"https://198.51.100.2:14000{path}", body, method=self.command)
        for name in ("Content-Type", "User-Agent"):
            if self.headers.get(name): asked.add_header(name, self.headers[name])
        asked.add_header("Host", self.headers["Host"])
        try:
            answer = urllib.request.urlopen(asked, context=inside)
        except urllib.error.HTTPError as error:
            answer = error
        status, content, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "")
        if problem and "order" in self.path and self.command == "POST":
            kind, text = "application/problem+json", problem.partition(" ")
            status = 429 if "rateLimited" in problem else 400
            content = json.dumps({"type": f"urn:ietf:params:acme:error:{text[0]}", "detail": text[2], "status": status}).encode()
        self.send_response(status)
        for name in ("Replay-Nonce", "Location", "Link"):
            for value in answer.headers.get_all(name) or ():
                self.send_header(name, value)
        self.send_header("Content-Type", kind); self.send_header("Content-Length", str(len(content))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(content)
    do_GET = do_POST = do_HEAD = answer
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("198.51.100.2", int(port)), Door)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass
class Acme:
    """The authority; `root` is what clients have to trust."""

    debian: Machine
    folder: Path
    root: str = ""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, nonces: int = 0, names: str = f"{ADDRESS}:53") -> None:
        """Start the authority anew: it has forgotten every account. It refuses `nonces` of a hundred numbers of requests, and
        asks the name server `names`."""
        self.stop("pebble")
        environment = [f"PEBBLE_WFE_NONCEREJECT={nonces}", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0"]
        argv = [
            "env",
            *environment,
            "pebble",
            "-config",
            str(self.folder / "config.json"),
            "-dnsserver",
            names,
        ]
        self._start("pebble", argv)
        self.root = self._ask(f"https://{ADDRESS}:15000/roots/0")
        self.debian.put("/usr/local/share/ca-certificates/pebble.crt", self.root)
        self.debian.run("update-ca-certificates >/dev/null 2>&1")

    def stop(self, name: str) -> None:
        """End one of the servers."""
        if process := self._running.pop(name, None):
            process.kill()
            process.wait()

    def close(self) -> None:
        """End all of them."""
        for name in list(self._running):
            self.stop(name)

    def says(self, path: str, **values: object) -> None:
        """What the name server answers from now on (pebble-challtestsrv's own interface)."""
        self._ask(f"http://{ADDRESS}:8055/{path}", json.dumps(values))

    def refuses(self, problem: str) -> None:
        """The door refuses each order from now on: the kind of the problem, and its words; none, if empty."""
        (self.folder / "refusal").write_text(problem)

    def orders(self) -> list[str]:
        """The names by which somebody at the door has asked for a certificate, in order."""
        return (self.folder / "orders").read_text().split()

    def _ask(self, url: str, data: str | None = None) -> str:
        script = (
            "import ssl, sys, urllib.request as u\n"
            "c = ssl._create_unverified_context()\n"
            "d = sys.argv[2].encode() if len(sys.argv) > 2 else None\n"
            "print(u.urlopen(sys.argv[1], d, context=c if sys.argv[1][4] == 's' else None).read().decode())"
        )
        words = [url] if data is None else [url, data]
        end = time.monotonic() + 20
        while True:
            done = self.debian.client().run([sys.executable, "-c", script, *words], check=False)
            if done.returncode == 0 or time.monotonic() > end:
                assert done.returncode == 0, done.stderr
                return done.stdout
            time.sleep(0.1)

    def _start(self, name: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(self.debian.client().argv(argv), stdout=log, stderr=log)


def _pair(own: Authority, folder: Path, name: str) -> list[str]:
    """The files of a server's certificate and key."""
    server = own.leaf(name)
    pair = [folder / f"{name}.{kind}" for kind in ("crt", "key")]
    for path, text in zip(pair, (server.certificate + own.between, server.key), strict=True):
        path.write_text(text)
    return list(map(str, pair))


@contextmanager
def acme(debian: Machine, folder: Path) -> Iterator[Acme]:
    """An authority that the machine reaches and trusts, and a DNS in which the machine's name leads to it."""
    made, own = Acme(debian, folder), Authority(folder)
    pair, lets_encrypt = _pair(own, folder, HOST), _pair(own, folder, "*.api.letsencrypt.org")
    settings = {
        **{"listenAddress": f"{ADDRESS}:14000", "managementListenAddress": f"{ADDRESS}:15000"},
        **{"certificate": pair[0], "privateKey": pair[1], "httpPort": 80, "tlsPort": 443},
    }
    (folder / "config.json").write_text(json.dumps({"pebble": settings}))
    (folder / "door.py").write_text(_DOOR)
    made.refuses("")
    (folder / "orders").touch()
    debian.put("/usr/local/share/ca-certificates/own.crt", own.root)
    debian.put("/etc/resolv.conf", f"nameserver {ADDRESS}\n")
    debian.run(f"echo '{ADDRESS} {HOST} {LETS_ENCRYPT} {STAGING}' >>/etc/hosts")
    addresses = ("-defaultIPv4", "198.51.100.1", "-defaultIPv6", "2001:db8::1")
    off = (word for kind in ("http01", "https01", "tlsalpn01") for word in (f"-{kind}", ""))
    places = ("-dns01", f"{ADDRESS}:53", "-management", f"{ADDRESS}:8055")
    try:
        made._start("names", ["pebble-challtestsrv", *addresses, *places, *off])
        door, files = (
            [sys.executable, str(folder / "door.py")],
            [str(folder / name) for name in ("refusal", "orders")],
        )
        made._start("door", [*door, *pair, files[0], "14001", files[1]])
        made._start("Let's Encrypt", [*door, *lets_encrypt, files[0], "443", files[1]])
        made.start()
        yield made
    finally:
        made.close()
