"""Fixes: steps that repair one broken thing. Troubleshooting applies them, with the ordinary engine; `apply`, `plan`
and `status` know nothing of them, `history`, `diff`, `rollback` and `recover` treat them as any other step."""
