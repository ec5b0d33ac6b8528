"""Steps beyond the howto's order: done when a command of their own asks for them, never by `plan`, `apply`, `status`.

They are recorded, rolled back and recovered like those of the order; they are looked up here by their id."""

from __future__ import annotations

from wizard.model.plan import Step
from wizard.steps import STEPS


def extra() -> tuple[Step, ...]:
    """One of each, for its id, its `needs` and `again`; imported here, since they are seldom needed."""
    from wizard.mends import MENDS
    from wizard.steps.certificate_install import CertificateInstall
    from wizard.steps.certificate_renew import CertificateRenew

    return CertificateRenew(), CertificateInstall(), *MENDS


def find(step_id: str) -> Step:
    """The step with this id, in the howto's order or beyond it. Raises KeyError."""
    of_the_order = {step.id: step for step in STEPS}
    return of_the_order.get(step_id) or {step.id: step for step in extra()}[step_id]
