"""Pure text -> text editors of the files that the steps change. No I/O.

Texts are bytes decoded as latin-1, which loses nothing: what need not change comes back byte for byte, newlines included.
"""

from wizard.editors.edit_error import EditError

__all__ = ["EditError"]
