"""`python -m wizard`: the command line."""

from wizard.cli.main import main

raise SystemExit(main())
