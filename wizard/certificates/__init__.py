"""Certificates and keys: read, judged as a mail client judges them, and made."""
