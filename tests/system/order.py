"""Which system tests begin first, and which of them run one after the other on a machine that they share.

What takes long begins first: a long one that begins last leaves all processors but one without work.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

FIRST = (
    "test_troubleshoot.py::test_every_fault_is_named_fixed_and_comes_back",
    "test_confirm.py::",
    "test_fleet.py::",
    "test_fleet_mixed.py::",
    "test_fleet_interrupted.py::",
    "test_documents.py::test_every_example_ends_as_the_documents_say",
    "test_derivatives.py::test_sysvinit",
    "test_rollback.py::test_each_step_alone_and_back_again",
    "test_tls_policy.py::test_faults_end_in_a_clear_error_with_nothing_changed",
    "test_certificate_obtain.py::test_killed_at_any_stage_it_is_undone_and_port_80_closed",
    "test_screens.py::test_the_admins_own_edit_is_asked_about",
    "test_screens.py::test_a_fault_is_found_and_mended_and_a_certificate_made",
    "test_tls_policy.py::test_what_debian_itself_takes_is_narrowed_for_clients_alone_and_taken_back",
    "test_survival.py::test_killed_and_recovered",
    "test_package.py::test_from_a_bare_debian_to_a_login_and_back",
    "test_others_packages.py::",
    "test_guess_limit.py::test_who_guesses_is_banned_for_a_while_and_all_is_taken_back",
    "test_rollback.py::",
    "test_server_trust.py::",
    "test_log_watch.py::",
    "test_outside_unit.py::",
)
"""How their names begin, by file: the longest in front. The others follow as they stand."""
SHARED = (
    "test_confirm.py",
    "test_debug.py",
    "test_firewall.py",
    "test_fleet.py",
    "test_fleet_collection.py",
    "test_fleet_interrupted.py",
    "test_fleet_mixed.py",
    "test_fleet_playbooks.py",
    "test_log_watch.py",
    "test_login_by_hand.py",
    "test_login_cause.py",
    "test_outside_unit.py",
    "test_server_trust.py",
)
"""The files whose tests share machines: one for each first parameter; of fleets there is one at a time."""


def turn(case: str) -> int:
    """Where a test stands in the order; `case` is its file and its name."""
    return next((number for number, name in enumerate(FIRST) if case.startswith(name)), len(FIRST))


def unit(nodeid: str) -> str:
    """What one worker does in one go: a test, or all that share a machine, since another worker would make its own; and all
    fleets, since the kernel has not the inotify instances for the machines of two beside those of others."""
    file, _, name = nodeid.rpartition("/")[2].partition("::")
    if file.startswith("test_fleet"):
        return "fleets"
    return f"{file} {name.partition('[')[2].rstrip(']').partition('-')[0]}" if file in SHARED else nodeid


class InOrder(LoadScopeScheduling):  # type: ignore[misc]
    """pytest-xdist's, with these units."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
