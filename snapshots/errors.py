"""The one error of the snapshot store."""


class StoreError(Exception):
    """The store could not do what was asked: what, why and what to do, in sentences."""
