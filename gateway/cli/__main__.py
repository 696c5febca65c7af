"""`python -m gateway.cli` is `stockd`."""

import sys

from gateway.cli import main

sys.exit(main())
