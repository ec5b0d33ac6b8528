"""`python -m wizard`: the command line."""

from wizard.cli import main

raise SystemExit(main())
