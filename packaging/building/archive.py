"""Zip files whose bytes depend on nothing but what is in them."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable
from io import BytesIO


def zipped(files: Iterable[tuple[str, bytes, int]], epoch: int, *, packed: bool = True) -> bytes:
    """A zip of names, contents and modes, all of one time (seconds since the epoch), in the order of their names."""
    out = BytesIO()
    when = time.gmtime(max(epoch, 315532800))[:6]  # a zip knows no time before 1980
    with zipfile.ZipFile(
        out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED, compresslevel=9
    ) as file:
        for name, content, mode in sorted(files):
            item = zipfile.ZipInfo(name, when)
            item.create_system = 3  # Unix, whose modes these are
            item.external_attr = (0o100000 | mode) << 16
            item.compress_type = file.compression
            file.writestr(item, content, compresslevel=9)
    return out.getvalue()
