"""`python -m hpctl` and the `hpctl` script."""

import sys

from hpctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
