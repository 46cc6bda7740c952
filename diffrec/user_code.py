"""Loads Python files of the user's: a space file, or a recommender that lies beside one."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from diffrec.errors import UserError

_PREFIX = "user_space_"
"""Beginning of the name of a module that was loaded by its path."""


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module.

    Raises:
        UserError: it is not there, or cannot be run.
    """
    if not path.is_file():
        raise UserError(f"No space file at {str(path)!r}; give the path of a .py file.")
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{str(path)!r} is no Python file; give the path of a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    try:
        with imports_from(path.resolve().parent):
            spec.loader.exec_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code may raise anything
        raise UserError(
            f"Space file {str(path)!r} cannot be run ({reason(error)}); correct it."
        ) from None
    return module


def reference(cls: type) -> str:
    """Return `FOLDER:MODULE:CLASS`, with which another process can load a class of a file.

    Raises:
        UserError: it was defined in a notebook or a function, so it cannot.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None or cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise UserError(
            f"{cls.__qualname__} is defined in a notebook, a script or a function, where no other "
            "process can load it; put it into a .py file and import it from there."
        )
    path = Path(file).resolve()
    levels = cls.__module__.count(".") + (path.name == "__init__.py")
    return f"{path.parents[levels]}:{cls.__module__}:{cls.__qualname__}"


def load_reference(text: str) -> Any:
    """Return the class that `reference` named.

    Raises:
        UserError: its file is gone or cannot be run, or has no such class.
    """
    folder, module, name = text.rsplit(":", 2)
    try:
        return getattr(_module(Path(folder), module), name)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The recommender {name} of {module} in {folder} cannot be loaded ({reason(error)}); "
            "put its file back or correct it."
        ) from error


def _module(folder: Path, name: str) -> ModuleType:
    known = sys.modules.get(name)
    if known is not None and Path(known.__file__ or "").resolve().is_relative_to(folder):
        return known
    if name.startswith(_PREFIX):
        return load_file(folder / f"{name.removeprefix(_PREFIX)}.py")
    with imports_from(folder):
        return importlib.import_module(name)


def load_attribute(path: str, like: type) -> Any:
    """Return what `module:Name` names, or `Name` in the module of the class `like`."""
    module, _, name = path.rpartition(":")
    if not module:
        return getattr(sys.modules[like.__module__], name)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        file = getattr(sys.modules.get(like.__module__), "__file__", None)
        if error.name != module.partition(".")[0] or file is None:
            raise
        with imports_from(Path(file).resolve().parents[like.__module__.count(".")]):
            found = importlib.import_module(module)
    return getattr(found, name)


@contextmanager
def imports_from(folder: Path) -> Iterator[None]:
    """Let a file import the modules beside it, as a script may, and leave no bytecode there."""
    wrote = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = wrote
        sys.path.remove(str(folder))


def reason(error: BaseException) -> str:
    """Return the type of an error and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
