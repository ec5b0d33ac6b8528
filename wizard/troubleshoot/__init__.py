"""Guided troubleshooting (howto section 5): a picture of the host, taken without changing anything; diagnoses, each a
pure function of that picture; a verdict; and fixes, which are steps like any other."""
