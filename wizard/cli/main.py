"""The command line: arguments in, engine calls, text or JSON out; no decisions of its own (docs/manual.md)."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own takes longer to import than `--version` takes
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from wizard.cli.completion import complete

        complete()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        from wizard.delivery import version_line

        print(version_line())
        return 0
    from wizard.delivery import begin

    begin()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and stream.errors != "replace":
            stream.reconfigure(errors="replace")
    os.umask(0o022)
    collect_seldom()
    from snapshots.errors import StoreError
    from wizard import log
    from wizard.errors import FAILED, Interrupted, NeededError, NotRoot, WizardError, cause_of

    try:
        code = _run(arguments)
    except Interrupted as error:
        code = _failed(arguments, error.sentence, 128 + error.number)
    except NotRoot as error:
        changed = "; nothing was changed" if error.next else ""
        code = _failed(arguments, f"{error.what}{changed}. Run: `{_as_root(arguments)}`", error.exit_code)
    except NeededError as error:
        code = _failed(arguments, f"{error.what}. {error.remedy(arguments)}", error.exit_code)
    except WizardError as error:
        code = _failed(arguments, error.sentence, error.exit_code)
    except (StoreError, OSError) as error:
        code = _failed(arguments, cause_of(error), FAILED)
    except KeyboardInterrupt:
        code = 130
    except Exception:
        log.exception()
        raise
    log.note(f"exit code {code}")
    return code


def collect_seldom() -> None:
    """Look for garbage after 20,000 new objects, not after 700: what a command makes most are modules, and they stay."""
    import gc

    gc.set_threshold(20_000)


def _run(arguments: list[str]) -> int:
    from wizard import console, log

    if not arguments and sys.stdin.isatty() and sys.stdout.isatty():
        from screens.launch import launch

        log.begin(arguments)
        return launch()
    from importlib import import_module

    from wizard.cli.parser import parser
    from wizard.errors import UsageError

    if arguments[:1] == ["help"] and not {"-h", "--help"} & set(arguments):
        arguments = [*arguments[1:], "--help"]
    parsed, unknown = parser().parse_known_args(arguments or ["status"])
    if unknown not in ([], ["--"]):
        before = arguments[0] in unknown  # the command
        raise UsageError(_unknown(unknown, "" if before else getattr(parsed, "prog", "")))
    if not hasattr(parsed, "run"):  # `--` alone
        parsed = parser().parse_args(["status"])
    parsed.argv = arguments
    console.set_quiet(parsed.quiet)
    log.begin(arguments, verbose=parsed.verbose)
    module, _, name = parsed.run.partition(":")
    from wizard.render.waiting import LOOKING, waiting

    waits = (
        "waiting for a login" if getattr(parsed, "from_outside", False) else _WAITS.get(parsed.run, LOOKING)
    )
    with waiting(waits, parsed.quiet):
        return int(getattr(import_module(f"wizard.cli.{module}"), name)(parsed))


def _unknown(arguments: Sequence[str], command: str) -> str:
    """What is wrong with arguments that nothing takes, and where the right ones are listed."""
    words = " ".join(arguments)
    if not command:
        return (
            f"{words}: an option follows its command, as in `msa-wizard status -q`. Run `msa-wizard --help`"
        )
    return f"{command} does not take {words}. Run `{command} --help`"


_WAITS = {
    "steps:apply": "looking at this host, and asking apt what comes with the packages",
    "steps:plan": "looking at this host, and asking apt what comes with the packages",
    "logins:test": "testing a login",
    "logins:login": "talking to the server",
    "logins:saslauthd": "waiting for a login",
    "troubleshoot:troubleshoot": "looking at each layer from name to queue",
    "rehearse:rehearse": "rehearsing on a throwaway clone",
    "rollback:rollback": "working out the rollback",
}
"""What a command waits for, by its function, where it takes long; the others look at the host."""


def _as_root(arguments: Sequence[str]) -> str:
    """The command line as it was typed, for root."""
    import shlex

    from wizard.delivery import as_started

    return shlex.join(["sudo", *(as_started() or ["msa-wizard"]), *arguments])


def _failed(arguments: Sequence[str], sentence: str, code: int) -> int:
    """Say why, on standard output too where a program reads that; returns the exit code."""
    from wizard import log
    from wizard.console import clean_block, error

    if "--json" in arguments:
        from wizard.render.as_json import show

        show(error={"message": clean_block(sentence), "exit_code": code})
    error(f"msa-wizard: {clean_block(sentence)}")
    log.note(f"error: {sentence}")
    return code
