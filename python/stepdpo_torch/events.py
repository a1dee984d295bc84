"""What is told to the launcher: a line of JSON for each event, in a file that it follows."""

import json
import os


def append(path: str, event: str, **facts) -> None:
    """Adds a line, durably."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"type": event, **facts}, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
