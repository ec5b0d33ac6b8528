#!/usr/bin/python3 -IS
# `__main__.py` of the one file, and `msa-wizard` in the folder into which that has unpacked the program. Python compiles it
# at each start: what is not needed for the version is in start.py.
import sys

if sys.argv[1:] in (["--version"], ["-V"]):
    print("@VERSION@")
else:
    import os

    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from start import start  # type: ignore[import-not-found]

    sys.exit(start())
