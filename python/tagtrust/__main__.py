"""`python -m tagtrust` is the command `tagtrust`."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
