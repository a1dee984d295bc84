"""Says which versions are installed, as JSON, without importing them: `python -m stepdpo_torch.check`."""

import json
import re
import sys
from importlib import metadata

# The least version that is known to work, and the first one that is not expected to; as in pyproject.toml.
NEEDED = {"torch": "2.5", "transformers": "5.0 6", "trl": "1.10 2", "peft": "0.17 1", "accelerate": "1.10 2", "datasets": "3"}


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def problems(versions: dict[str, str | None]) -> list[str]:
    found = []
    for name, bounds in NEEDED.items():
        version, (least, *most) = versions[name], bounds.split()
        if version is None:
            found.append(f"{name} is not installed")
        elif numbers(version) < numbers(least) or (most and numbers(version) >= numbers(most[0])):
            below = f" and below {most[0]}" if most else ""
            found.append(f"{name} {version} is installed, expected at least {least}{below}")
    return found


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    found = {name: installed(name) for name in [*NEEDED, "ray"]}
    json.dump({"python": sys.version.split()[0], "versions": found, "problems": problems(found)}, sys.stdout)
