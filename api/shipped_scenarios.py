"""The shipped scenarios, and where a user's own is found."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import configs
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario


def shipped_names() -> list[str]:
    """The names of the shipped scenarios."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


def shipped_text(name: str) -> str:
    """The YAML text of a shipped scenario. Raises `InvalidInput` with the names there are."""
    if name not in shipped_names():
        known = ", ".join(shipped_names())
        raise InvalidInput((Fault("scenario", name, f"is not a shipped scenario; there are {known}"),))
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def shipped_scenario(name: str) -> "Scenario":
    """A shipped scenario by its name. Raises `InvalidInput` with the names there are.

    Each is read once: it takes longer than all else that a submitted job needs.
    """
    from sim.scenario.scenario import read_scenario

    return read_scenario(shipped_text(name), f"{name}.yaml")


def find_scenario(given: str) -> "Scenario":
    """A scenario by its file, or by the name of a shipped one. Raises `InvalidInput`."""
    from cluster.reference.rates import class_names
    from sim.scenario.scenario import read_scenario

    path = Path(given)
    if not path.is_file() and path.suffix not in (".yaml", ".yml", ".json") and "/" not in given:
        file = Path(f"{given}.yaml")
        if given not in shipped_names() and file.is_file():
            raise InvalidInput((Fault("scenario", given, f"is not a shipped scenario; did you mean the file {file}?"),))
        return shipped_scenario(given)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput((Fault("", None, "is not UTF-8 text", source=given),)) from None
    except OSError as error:
        raise InvalidInput((Fault("", None, f"cannot be read: {error.strerror or error}", source=given),)) from None
    return read_scenario(text, given, class_names())


def _folder() -> Path:
    return Path(configs.__path__[0]) / "scenarios"
