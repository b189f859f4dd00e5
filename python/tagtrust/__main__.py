"""`python -m tagtrust` is the command `tagtrust`."""

import sys

from ._cli import main

sys.exit(main())
