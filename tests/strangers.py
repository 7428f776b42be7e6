"""What a test does for another user of this machine."""

import tempfile
from pathlib import Path


def let_in(folder: Path) -> None:
    """Open a test's folder, and those that it is in, to all users."""
    for path in (folder, *folder.parents):
        if path == Path(tempfile.gettempdir()):
            return
        path.chmod(0o755)
