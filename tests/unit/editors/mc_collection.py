"""sendmail.mc files in the shapes that are found in the wild, and what each of them says.

`daemons` is one (service, family, address, modifiers) for each live DAEMON_OPTIONS. `refused` is the line that stops
the editor, for files that m4 or sendmail could not do with either."""

from __future__ import annotations

from dataclasses import dataclass, field

Daemon = tuple[str, str, str | None, str]
CF = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n"
HEAD = CF + "OSTYPE(`linux')dnl\n"
TAIL = "MAILER(`local')dnl\nMAILER(`smtp')dnl\n"
SMTP: Daemon = ("smtp", "inet", None, "")


@dataclass(frozen=True)
class Shape:
    """One file. `auth` is the value of confAUTH_OPTIONS in the end."""

    name: str
    text: str
    daemons: tuple[Daemon, ...] = ()
    includes: tuple[str, ...] = field(default=("/usr/share/sendmail/cf/m4/cf.m4",))
    features: tuple[str, ...] = ()
    auth: str | None = None
    trusted: tuple[str, ...] = ()
    refused: int | None = None


UNDERSTOOD = (
    Shape(
        "red hat: no MAILER_DEFINITIONS, blanks before a macro, prose behind dnl",
        "divert(-1)dnl\ndnl # after an edit, don't forget make -C\ninclude(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n"
        "VERSIONID(`setup for linux')dnl\nOSTYPE(`linux')dnl\ndnl define(`confAUTH_OPTIONS', `A p')dnl\n"
        "define(`confAUTH_OPTIONS', `A')dnl\nTRUST_AUTH_MECH(`EXTERNAL LOGIN PLAIN')dnl\n"
        "FEATURE(`no_default_msa', `dnl')dnl\n  DAEMON_OPTIONS(`Port=smtp,Addr=127.0.0.1, Name=MTA')dnl  only the loopback\n"
        "dnl DAEMON_OPTIONS(`Port=submission, Name=MSA, M=Ea')dnl\n" + TAIL,
        (("smtp", "inet", "127.0.0.1", ""),), features=("no_default_msa",), auth="A", trusted=("EXTERNAL", "LOGIN", "PLAIN"),
    ),
    Shape(
        "freebsd: cf.m4 comes before the file, no include of it, a divert for the header",
        "divert(-1)\n# We don't say more here: isn't this a header?\ndivert(0)\nVERSIONID(`mine')\nOSTYPE(freebsd6)\n"
        "DAEMON_OPTIONS(`Name=IPv4, Family=inet')\nDAEMON_OPTIONS(`Name=IPv6, Family=inet6, Modifiers=O')\n"
        "MAILER(local)\nMAILER(smtp)\n",
        (SMTP, ("smtp", "inet6", None, "O")), includes=(),
    ),
    Shape("nullclient without a MAILER", HEAD + "FEATURE(`nullclient', `hub.example.test')dnl\n", features=("nullclient",)),
    Shape("no daemon at all", HEAD + "FEATURE(`use_cw_file')dnl\n" + TAIL, features=("use_cw_file",)),
    Shape(
        "ten daemons with repeated names",
        HEAD + "".join(f"DAEMON_OPTIONS(`Port={2500 + n}, Name=MTA')dnl\n" for n in range(10)) + TAIL,
        tuple((str(2500 + n), "inet", None, "") for n in range(10)),
    ),
    Shape(
        "address and modifier keys in several spellings, in any order",
        HEAD + "DAEMON_OPTIONS(`M=Ea, address=192.0.2.7,Name=MSA ,port=587')dnl\n"
        "DAEMON_OPTIONS(`Address=192.0.2.7,Modifiers=A b')dnl\n" + TAIL,
        (("submission", "inet", "192.0.2.7", "Ea"), ("smtp", "inet", "192.0.2.7", "Ab")),
    ),
    Shape(
        "modifiers given twice: the last ones hold",
        HEAD + "DAEMON_OPTIONS(`Port=587, M=E, Name=MSA, Modifiers=a')dnl\n" + TAIL, (("submission", "inet", None, "a"),),
    ),
    Shape("bare and alone", HEAD + "DAEMON_OPTIONS(Port=submission)dnl\n" + TAIL, (("submission", "inet", None, ""),)),
    Shape(
        "bare with commas: m4 keeps the first part",
        HEAD + "DAEMON_OPTIONS(Port=587, Name=MSA, M=E)dnl\n" + TAIL, (("submission", "inet", None, ""),),
    ),
    Shape(
        "doubled quotes", HEAD + "DAEMON_OPTIONS(``Port=smtp, Name=MTA, Addr=::1, Family=inet6'')dnl\n" + TAIL,
        (("smtp", "inet6", "::1", ""),),
    ),
    Shape("no dnl behind", HEAD + "DAEMON_OPTIONS(`Port=smtp, Name=MTA')\n" + TAIL, (SMTP,)),
    Shape(
        "a # does not switch anything off once cf.m4 is read",
        HEAD + "#DAEMON_OPTIONS(`Port=smtp, Name=MTA')dnl\n# DAEMON_OPTIONS(`Port=587')\n" + TAIL,
        (SMTP, ("submission", "inet", None, "")),
    ),
    Shape(
        "dnl in all its forms",
        HEAD + "dnl# DAEMON_OPTIONS(`Port=1')\ndnl\tDAEMON_OPTIONS(`Port=2')\n\t dnl DAEMON_OPTIONS(`Port=3')\n"
        "dnl DAEMON_OPTIONS(`Port=4,\ndnl  Name=X')dnl\nDAEMON_OPTIONS(`Port=5')dnl DAEMON_OPTIONS(`Port=6')\n" + TAIL,
        (("5", "inet", None, ""),),
    ),
    Shape(
        "dnlDAEMON_OPTIONS is one word", HEAD + "dnlDAEMON_OPTIONS(`Port=1')\nDAEMON_OPTIONS(`Port=25')\n" + TAIL, (SMTP,),
    ),
    Shape(
        "two macros on a line",
        HEAD + "DAEMON_OPTIONS(`Port=smtp') DAEMON_OPTIONS(`Port=587, M=E')dnl\n" + TAIL,
        (SMTP, ("submission", "inet", None, "E")),
    ),
    Shape(
        "a macro that eats its line",
        HEAD + "EXPOSED_USER(`root') DAEMON_OPTIONS(`Port=99')\nDAEMON_OPTIONS(`Port=25')\n" + TAIL, (SMTP,),
    ),
    Shape(
        "values over two lines and behind a dnl",
        HEAD + "define(`confAUTH_OPTIONS',dnl\n`A p')dnl\nDAEMON_OPTIONS(`Port=587,\n\tName=MSA,\n\tM=E')dnl\n"
        "DAEMON_OPTIONS(dnl the public one\n`Port=smtp')dnl\n" + TAIL,
        (("submission", "inet", None, "E"), SMTP), auth="A p",
    ),
    Shape(
        "the same define twice, the last wins",
        HEAD + "define(`confAUTH_OPTIONS',`A')dnl\nFEATURE(access_db)dnl\ndefine(`confAUTH_OPTIONS', ``Apy'')dnl\n" + TAIL,
        features=("access_db",), auth="Apy",
    ),
    Shape(
        "everything behind the mailers",
        HEAD + "MAILER_DEFINITIONS\n" + TAIL + "define(`confAUTH_OPTIONS',`p y')dnl\nTRUST_AUTH_MECH(`LOGIN')dnl\n"
        "include(`/etc/mail/tls/starttls.m4')dnl\nDAEMON_OPTIONS(`Port=smtp, Name=MTA')dnl",
        (SMTP,), includes=("/usr/share/sendmail/cf/m4/cf.m4", "/etc/mail/tls/starttls.m4"), auth="p y", trusted=("LOGIN",),
    ),
    Shape(
        "LOCAL_CONFIG in the middle, raw lines with one apostrophe",
        HEAD + "LOCAL_CONFIG\n# relay's own class\nCwexample.test\nKmyseq sequence a b\n\nMAILER(local)\nMAILER(smtp)\n"
        "LOCAL_RULESETS\nSLocal_check_mail\nR$*\t\t\t$: $1\nDAEMON_OPTIONS(`Port=smtp')",
        (SMTP,),
    ),
    Shape(
        "divert(-1) never left, live all the same",
        HEAD + "divert(-1)\nThis prose goes nowhere, but\nDAEMON_OPTIONS(`Port=smtp, Name=MTA')\n" + TAIL.rstrip("\n"), (SMTP,),
    ),
    Shape(
        "CRLF throughout",
        (HEAD + "DAEMON_OPTIONS(`Port=smtp, Addr=127.0.0.1, Name=MTA')dnl\ndnl # mailers\nMAILER_DEFINITIONS\n" + TAIL)
        .replace("\n", "\r\n"),
        (("smtp", "inet", "127.0.0.1", ""),),
    ),
    Shape(
        "latin-1 in the comments and a last line that ends nowhere",
        HEAD + "dnl # f\xfcr den Mailserver, d\xe9j\xe0 vu\nDAEMON_OPTIONS(`Name=MTA')dnl\n" + TAIL + "dnl # Ende", (SMTP,),
    ),
    Shape(
        "inside an ifdef that holds",
        CF + "define(`_WITH_MSA_')dnl\nOSTYPE(`linux')dnl\nifdef(`_WITH_MSA_', `DAEMON_OPTIONS(`Port=587, Name=MSA, M=Ea')dnl\n"
        "',`dnl\nDAEMON_OPTIONS(`Port=2525')')\nDAEMON_OPTIONS(`Port=smtp')dnl\n" + TAIL,
        (("submission", "inet", None, "Ea"), SMTP),
    ),
    Shape(
        "ifelse on literals",
        HEAD + "ifelse(`yes', `no', `DAEMON_OPTIONS(`Port=1')', `yes', `yes', `DAEMON_OPTIONS(`Port=25')')dnl\n" + TAIL, (SMTP,),
    ),
    Shape(
        "a macro of the admin's own writes the lines",
        HEAD + "define(`LISTEN', `DAEMON_OPTIONS(`Port=$1, Name=$2, M=$3')')dnl\nLISTEN(`587', `MSA', `Ea')dnl\n"
        "LISTEN(smtp, MTA, A)dnl\n" + TAIL,
        (("submission", "inet", None, "Ea"), ("smtp", "inet", None, "A")),
    ),
    Shape(
        "an address from a define",
        HEAD + "define(`MY_ADDR', `198.51.100.4')dnl\nDAEMON_OPTIONS(`Port=smtp, Addr=MY_ADDR, Name=MTA')dnl\n" + TAIL,
        (("smtp", "inet", "198.51.100.4", ""),),
    ),
    Shape(
        "a unix socket is no port",
        HEAD + "DAEMON_OPTIONS(`Family=local, Name=sock, Addr=/run/mta.sock')dnl\nDAEMON_OPTIONS(`Port=25')dnl\n" + TAIL,
        (("smtp", "unix", "/run/mta.sock", ""), SMTP),
    ),
    Shape(
        "milters, children and delays of one daemon",
        HEAD + "INPUT_MAIL_FILTER(`greylist', `S=local:/run/greylist.sock')dnl\n"
        "DAEMON_OPTIONS(`Name=MTA, Port=smtp, InputMailFilters=greylist, children=40, delay=8')dnl\n" + TAIL, (SMTP,),
    ),
    Shape("an option without a value and empty ones", HEAD + "DAEMON_OPTIONS(`Port=smtp, , Name, M=')dnl\n" + TAIL, (SMTP,)),
    Shape(
        "undefined in the end", HEAD + "define(`confAUTH_OPTIONS',`p')dnl\nundefine(`confAUTH_OPTIONS')dnl\n" + TAIL,
    ),
    Shape(
        "comments of m4 before cf.m4 is read",
        "# it's `quite fine to write this here: include(`/nowhere')\n" + HEAD + "DAEMON_OPTIONS(`Port=25')dnl\n" + TAIL, (SMTP,),
    ),
    Shape(
        "the options taken back", HEAD + "DAEMON_OPTIONS(`Port=99')dnl\ndefine(`_DPO_', `')dnl\nDAEMON_OPTIONS(`Port=25')\n" + TAIL,
        (SMTP,),
    ),
    Shape(
        "all of it diverted away, and still live",
        "divert(-1)\nOSTYPE(`linux')\nDAEMON_OPTIONS(`Port=25')\n" + TAIL, (SMTP,), includes=(),
    ),
)  # fmt: skip

REFUSED = (
    Shape("an apostrophe opens", HEAD + "DAEMON_OPTIONS('Port=smtp, Name=MTA')dnl\n" + TAIL, refused=3),
    Shape("a double quote opens", HEAD + 'DAEMON_OPTIONS("Port=smtp, Name=MTA")dnl\n' + TAIL, refused=3),
    Shape("a quote never closed", HEAD + "define(`confAUTH_OPTIONS, `p y')dnl\n" + TAIL, refused=3),
    Shape("a backquote in running text", HEAD + "# the `daemon lines\n" + TAIL, refused=3),
    Shape("a parenthesis never closed", HEAD + "FEATURE(`access_db'dnl\n" + TAIL, refused=3),
    Shape("changequote", HEAD + "changequote([,])dnl\n" + TAIL, refused=3),
    Shape("a macro's name in running text", HEAD + "# see FEATURE and others\n" + TAIL, refused=3),
    Shape("a blank before the parenthesis", HEAD + "DAEMON_OPTIONS (`Port=smtp')dnl\n" + TAIL, refused=3),
    Shape("a key that sendmail does not know", HEAD + "\nDAEMON_OPTIONS(`Port=smtp, Xtra=1')dnl\n" + TAIL, refused=4),
    Shape("a family that sendmail does not know", HEAD + "DAEMON_OPTIONS(`Family=ipv4')dnl\n" + TAIL, refused=3),
    Shape("a line end in the options", HEAD + "DAEMON_OPTIONS(`Port=smtp,\nName=MTA')dnl\n" + TAIL, refused=3),
    Shape("it depends on another file", HEAD + "ifdef(`_SITE_', `DAEMON_OPTIONS(`Port=587')')dnl\n" + TAIL, refused=3),
    Shape("it depends on a command", HEAD + "DAEMON_OPTIONS(`Port=25, Addr='esyscmd(`hostname -i'))dnl\n" + TAIL, refused=3),
    Shape("m4exit", HEAD + "m4exit\n" + TAIL, refused=3),
    Shape("a macro that calls itself", HEAD + "define(`again', `x again')dnl\nagain\n" + TAIL, refused=4),
    Shape("nested without end", HEAD + "ifdef(" * 500 + ")" * 500 + "\n" + TAIL, refused=3),
)  # fmt: skip
