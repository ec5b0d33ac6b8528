"""A certificate authority of the test's own: a root, one in between, and what it signs. Made by the host's openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_RSA = ("-newkey", "rsa:2048", "-nodes")
_CA = (
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
    "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, PEM."""

    certificate: str
    key: str

    @property
    def key_lines(self) -> list[str]:
        """The lines of the key that must never be seen: all but the first and the last."""
        return self.key.strip().splitlines()[1:-1]


class Authority:
    """A root and an intermediate authority, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._openssl("req", "-x509", *_EC, "-keyout", "root.key", "-out", "root.crt", "-days", "30", "-subj", "/CN=Root",
                      "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
        self.root = (folder / "root.crt").read_text()
        self.between = self._signed("between", "/CN=In Between", "root", _CA, "30", _EC).certificate

    def leaf(
        self,
        name: str = "mail.example.test",
        *more: str,
        days: int = 30,
        rsa: bool = False,
        logged: bool = False,
    ) -> Signed:
        """A server's certificate for `name` and `more`, signed by the one in between; with days < 0 it has expired. With `logged` it
        has proofs of logging, as those of authorities for the web, and of their stagings."""
        extensions = (
            f"subjectAltName={','.join(f'DNS:{each}' for each in (name, *more))}\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n"
            "subjectKeyIdentifier=hash\nbasicConstraints=critical,CA:FALSE\n"
            f"{'1.3.6.1.4.1.11129.2.4.2=DER:04020000' if logged else ''}\n"
        )
        return self._signed("leaf", f"/CN={name}", "between", extensions, str(days), _RSA if rsa else _EC)

    def encrypted(self, key: str) -> str:
        """The key under a passphrase."""
        (self._folder / "plain.key").write_text(key)
        self._openssl("pkey", "-in", "plain.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
        return (self._folder / "locked.key").read_text()

    def _signed(
        self, name: str, subject: str, by: str, extensions: str, days: str, kind: tuple[str, ...]
    ) -> Signed:
        (self._folder / f"{name}.ext").write_text(extensions)
        self._openssl("req", *kind, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial",
                      "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
        return Signed(*((self._folder / f"{name}.{ending}").read_text() for ending in ("crt", "key")))

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)
