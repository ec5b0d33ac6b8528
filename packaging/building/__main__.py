"""Make all that is released, of a clean copy of one commit: `packaging/build` runs it there, in its own environment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from building import collection, one_file
from building.program import lay_down, mark
from building.sbom import bill
from building.vendor import put
from wizard import __version__
from wizard.delivery import SOURCE

_SOURCE = Path(__file__).resolve().parents[2]


def main(made: Path) -> int:
    """Build it into the folder `made`."""
    commit, epoch = os.environ["MSA_WIZARD_COMMIT"], int(os.environ["SOURCE_DATE_EPOCH"])
    made.mkdir()
    program = made.with_name("program")
    lay_down(_SOURCE, program, "pyz", commit)
    one_file.make(program, made / "msa-wizard.pyz", epoch)
    collection.make(program, made / "msa-wizard.pyz", made, epoch)
    put(made / f"msa-wizard-{__version__}.cdx.json", bill(program, _SOURCE, commit, epoch).encode())
    package = _SOURCE / "packaging/deb/build"
    if package.is_file():
        _run(str(package), str(_SOURCE), str(made))
    for target, mark_of_it in (("sdist", (SOURCE, commit, str(epoch))), ("wheel", ("wheel", commit))):
        mark(_SOURCE, *mark_of_it)
        _run(sys.executable, "-m", "hatchling", "build", "--directory", str(made), "--target", target)
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(made.iterdir())
    ]
    put(made / "SHA256SUMS", "".join(lines).encode())
    return 0


def _run(*command: str) -> None:
    environment = {**os.environ, "MSA_WIZARD_PYTHON": sys.executable}
    subprocess.run(command, cwd=_SOURCE, env=environment, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
