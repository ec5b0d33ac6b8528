"""What the deliveries hold beside the program: a software bill of materials in CycloneDX's JSON."""

from __future__ import annotations

import hashlib
import tempfile
import tomllib
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL
from packaging.requirements import Requirement

from building.vendor import normal, wheels
from wizard import __version__

_ENVIRONMENT = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "sys_platform": "linux",
    "extra": "",
}
"""For what a package requires somewhere only."""
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "ISC license": "ISC",
    "MIT License": "MIT",
}
"""The words that packages have for their licences, and the ids that readers of a bill know."""
_BSD = {"gitdb": "BSD-3-Clause", "jinja2": "BSD-3-Clause"}
"""Of packages that call it "BSD License" alone, what their files of it are."""


def bill(program: Path, source: Path, commit: str, epoch: int) -> str:
    """The packages in the folder `program`, as building.program.lay_down made it of `source`, with their licences, what they
    need of each other, and the hashes of the wheels that they are from. The same for the same commit.

    Raises subprocess.CalledProcessError."""
    dependencies = tomllib.loads((source / "pyproject.toml").read_text())["project"]["dependencies"]
    held = {normal(each.name): each for each in distributions(path=[str(program)])}
    with tempfile.TemporaryDirectory() as place:
        hashes = {
            normal(wheel.name.split("-")[0]): hashlib.sha256(wheel.read_bytes()).hexdigest()
            for wheel in wheels(source / "requirements.txt", Path(place))
        }
    components = {name: _component(each, hashes[name]) for name, each in held.items()}
    whole = Component(
        name="msa-wizard",
        version=__version__,
        type=ComponentType.APPLICATION,
        bom_ref="msa-wizard",
        licenses=[LicenseFactory().make_with_id("MIT")],
        properties=[Property(name="commit", value=commit)],
    )
    bom = Bom(components=components.values(), serial_number=uuid5(NAMESPACE_URL, f"msa-wizard:{commit}"))
    bom.metadata.component = whole
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    asked = {name: [Requirement(line) for line in each.requires or []] for name, each in held.items()}
    asked["msa-wizard"] = [Requirement(line) for line in dependencies]
    extras = {extra for each in asked.values() for one in each for extra in one.extras} | {""}
    for name, each in asked.items():
        needed = {normal(one.name) for one in each if _applies(one, extras)} & components.keys()
        bom.register_dependency(components.get(name, whole), [components[one] for one in sorted(needed)])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(package: Distribution, digest: str) -> Component:
    name = normal(package.name)
    return Component(
        name=name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=name,
        purl=PackageURL("pypi", name=name, version=package.version),
        licenses=[LicenseFactory().make_with_id(licence_of(package))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def licence_of(package: Distribution) -> str:
    """The SPDX id of what the package itself says: by its expression, by a word, or by its classifiers.

    Raises ValueError for words that have none here."""
    metadata = package.metadata.json
    words = str(metadata.get("license_expression") or metadata.get("license") or "UNKNOWN")
    if words == "UNKNOWN" or "\n" in words:
        classified = [line for line in metadata.get("classifier", []) if line.startswith("License :: ")]
        words = classified[0].rpartition(" :: ")[2] if classified else "no licence"
    name = normal(package.name)
    licence = _BSD.get(name) if words == "BSD License" else _SPDX.get(words, words)
    if not licence or not is_supported_id(licence):
        raise ValueError(f"{name}: {words!r} is no SPDX id: add it to {Path(__file__).name}")
    return licence


def _applies(asked: Requirement, extras: set[str]) -> bool:
    """Whether it is required here, one of the `extras` being the reason or not."""
    return asked.marker is None or any(
        asked.marker.evaluate({**_ENVIRONMENT, "extra": each}) for each in extras
    )
