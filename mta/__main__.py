"""`python -m mta` is `mta`."""

import sys

from mta.cli import main

if __name__ == "__main__":
    sys.exit(main())
