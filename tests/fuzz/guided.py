"""`python -m tests.fuzz.guided TARGET CORPUS`: one target under atheris, in its own process."""

import sys

import atheris

with atheris.instrument_imports(include=["mta"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
