"""Write environment.yml from pyproject.toml, or with --check say whether it is up to date.

conda reads the pip section as a requirements file, and pip wants every line of a hashed file hashed: the toolkit itself
(`--editable .`) cannot be a line of it. So it is a second command, which the file's header gives.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON_CLASSIFIER = re.compile(r"Programming Language :: Python :: 3\.(\d+)")


def environment_text(pyproject: str) -> str:
    """The text of environment.yml: Python from `requires-python` up to the newest one that the classifiers name."""
    project = tomllib.loads(pyproject)["project"]
    newest = max(int(match[1]) for line in project["classifiers"] if (match := PYTHON_CLASSIFIER.fullmatch(line)))
    return f"""\
# Generated from pyproject.toml by `python scripts/environment.py`; do not edit.
#   conda env create --file environment.yml
#   conda run --name {project["name"]} pip install --no-deps --no-build-isolation --editable .
name: {project["name"]}
channels:
  - conda-forge
dependencies:
  - python{project["requires-python"]},<3.{newest + 1}
  - pip
  - pip:
      - --requirement requirements.lock
"""


def main() -> int:
    """Write the file, or compare it: 0 up to date, 1 not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not up to date")
    check = parser.parse_args().check
    file = ROOT / "environment.yml"
    text = environment_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if not check:
        file.write_text(text, encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != text:
        print("environment.yml is not what pyproject.toml says: run `python scripts/environment.py`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
