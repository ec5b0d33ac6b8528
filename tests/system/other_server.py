"""Run in the client's network: a scripted mail server that says the password again in odd spellings, until its standard
input ends; then it prints what it was told. Arguments: certificate with key, address, `strip` for no STARTTLS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.system.msa import PASSWORD
from tests.unit.smtp.server import Script, serving

_ECHO = [PASSWORD[::-1], PASSWORD.encode().hex(), PASSWORD.swapcase(), *PASSWORD]


def main() -> None:
    """Serve until nobody wants it any more."""
    certificate, address, strip = Path(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["strip"]
    echo = "".join(f"235-2.0.0 {text}\r\n" for text in _ECHO) + "235 2.0.0 OK Authenticated\r\n"
    script = Script(
        certificate,
        offers_starttls=not strip,
        clear_auth="LOGIN PLAIN" if strip else "",
        login=("alice", PASSWORD),
        verdict=echo.encode(),
    )

    def bye(_: str) -> bytes:
        knows = any(line.startswith("AUTH") for line in script.said)
        return f"221 2.0.0 {PASSWORD[::-1] if knows else ''} bye\r\n".encode()

    script.replies["QUIT"] = bye
    with serving(script, at=(address, 587)):
        print("ready", flush=True)
        sys.stdin.read()
    print(json.dumps(script.said))


if __name__ == "__main__":
    main()
