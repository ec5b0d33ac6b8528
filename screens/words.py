"""The field's words, explained for whoever does not know them: F1 explains those that are on the screen, docs/words.md all."""

from __future__ import annotations

import re

WORDS = {
    "AUTH": "logging in to a mail server; the server offers it, the mail client does it",
    "base64": "letters that stand for bytes; anybody can decode them",
    "CA": "certificate authority: whoever signs certificates that all programs trust, such as Let's Encrypt",
    "certbot": "the program that gets certificates from Let's Encrypt, and renews them",
    "certificate": "proves that a server is the one whose name it has",
    "commit": "one recorded change; it can be shown, and rolled back",
    "DAEMON_OPTIONS": "the line of sendmail.mc that says at which address and port Sendmail listens",
    "diff": "what changes in a file: lines with - go, lines with + come",
    "DNS": "where programs look up the address of a name",
    "drifted": "a step that was applied and has been changed since",
    "EHLO": "how a mail client says hello; the answer lists what the server offers",
    "fingerprint": "a short number by which a certificate is recognised",
    "forward secrecy": "a recorded connection stays secret, even from who gets the server's key later",
    "howto": "the Sendmail Message Submission Agent Howto: the instructions that the steps follow",
    "IMAP": "how mail clients read mail; sending does not need it",
    "LOGIN": "a way to log in: user name and password are asked for one by one",
    "loopback": "the address 127.0.0.1: only programs on this host reach it",
    "m4": "the program that makes sendmail.cf from sendmail.mc",
    "mechanism, mechanisms": "a way to log in, such as LOGIN or PLAIN",
    "MTA": "mail transfer agent: a mail server, such as Sendmail, Postfix or Exim",
    "MSA": "message submission agent: a mail server that takes mail from its users' mail clients",
    "message submission agent": "a mail server that takes mail from its users' mail clients, on port 587",
    "PAM, pam": "the part of Debian that checks the passwords of this host's users",
    "PEM": "the usual form of a certificate's file: it begins with -----BEGIN",
    "PLAIN": "a way to log in: user name and password are sent together",
    "realm": "the domain behind a user name; it is empty here",
    "relay": "to pass mail on to other servers",
    "SASL": "the common way in which programs let users log in",
    "SASL2": "the library by which Sendmail lets users log in",
    "saslauthd": "the service that checks user name and password for Sendmail",
    "self-signed": "of a certificate: made here, and signed by no authority, so mail clients ask before they trust it",
    "sendmail.cf": "the file that Sendmail reads; it is made from sendmail.mc",
    "sendmail.mc": "the file with Sendmail's settings; sendmail.cf is made from it",
    "sendmailconfig": "Debian's program that makes sendmail.cf from sendmail.mc",
    "snapshot": "the state of /etc, as a commit holds it",
    "STARTTLS": "the command that makes a connection encrypted; the password is sent after it",
    "subjectAltName": "the place in a certificate where mail clients look for the server's name",
    "TLS": "the encryption of a connection",
    "235": "the server's answer to a login that it accepts",
    "535": "the server's answer to a login that it refuses",
    "587": "the port at which mail clients hand over mail to be sent",
}


def on(text: str) -> dict[str, str]:
    """The words that occur in the text, with what they mean."""
    return {
        words: meaning
        for words, meaning in WORDS.items()
        if any(re.search(rf"(?<![\w./-]){re.escape(word)}(?![\w/-])", text) for word in words.split(", "))
    }
