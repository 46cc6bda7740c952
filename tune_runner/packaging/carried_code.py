"""Source code that a served recommender carries: this project's models, and those from outside."""

import ast
import importlib.util
import shutil
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

import diffrec
from diffrec import user_code
from diffrec.config.base import ModelConfig
from diffrec.config.external import ExternalConfig
from diffrec.errors import UserError
from diffrec.models.registry import recommender_class

_CARRIED = ("diffrec", "search_spaces")
"""Packages of this project that a recommender from outside may import."""

_HEAVY = ("tune_runner", "analysis")
_COMPILED = (".so", ".pyd", ".dll", ".dylib")
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".git")


@dataclass(slots=True)
class CarriedCode:
    """Code that was copied, and what it needs beside itself."""

    folder: Path
    """Folder that is put into the path where the model is loaded."""

    outside: str | None = None
    """`module:Class` of the configuration of a recommender from outside."""

    packages: set[str] = field(default_factory=set)
    """Installed packages that the code from outside imports, by top-level module."""


def carry_code(config: ModelConfig, folder: Path) -> CarriedCode:
    """Copy the code of a recommender into a new folder.

    Raises:
        UserError: a recommender from outside needs code that cannot be carried.
    """
    folder.mkdir()
    code = CarriedCode(folder)
    _copy(Path(diffrec.__file__).parent, folder)
    if isinstance(config, ExternalConfig):
        cls, model = type(config), recommender_class(config)
        code.outside = f"{cls.__module__}:{cls.__qualname__}"
        for module in dict.fromkeys((cls.__module__, model.__module__)):
            _carry_module(module.partition(".")[0], code, cls.name)
    return code


def _carry_module(name: str, code: CarriedCode, recommender: str) -> None:
    """Copy a module or package from outside, and the sources that it imports in turn."""
    if (code.folder / name).exists() or (code.folder / f"{name}.py").exists():
        return
    source = _source(name, recommender)
    if source.is_dir():
        compiled = [path for path in source.rglob("*") if path.suffix in _COMPILED]
        if compiled:
            raise _refusal(recommender, f"{compiled[0].name} of its package {name} is compiled")
        copied = _copy(source, code.folder)
        files = sorted(copied.rglob("*.py"))
    else:
        copied = code.folder / f"{name}.py"
        copied.write_text(_without_space(source), encoding="utf-8")
        files = [copied]
    imported = {module for path in files for module in imported_modules(path)}
    for module in sorted(imported - {name}):
        if module in _HEAVY:
            raise _refusal(recommender, f"{name} imports {module}, which starts studies")
        if module in sys.stdlib_module_names or not _exists(module, source.parent):
            continue  # what is missing here cannot be needed: it has been trained without
        if module in _CARRIED:
            if not (code.folder / module).exists():
                _copy(Path(str(sys.modules[module].__file__)).parent, code.folder)
            continue
        with user_code.imports_from(source.parent):
            if _is_installable(module):
                code.packages.add(module)
            else:
                _carry_module(module, code, recommender)


def _source(name: str, recommender: str) -> Path:
    """Return the folder of a package, or the file of a module."""
    file = _origin(name)
    if file is None or not Path(file).is_file():
        raise _refusal(recommender, f"{name} is no file or regular package")
    path = Path(file).resolve()
    if path.suffix != ".py":
        raise _refusal(recommender, f"{path.name} is compiled")
    return path.parent if path.name == "__init__.py" else path


def _refusal(recommender: str, reason: str) -> UserError:
    return UserError(
        f"The recommender {recommender} cannot be carried into MLflow's registry, since {reason}; "
        "put it into a module or package of Python sources."
    )


def _exists(module: str, folder: Path) -> bool:
    """Return whether a module can be imported here, by a file of `folder` too."""
    with user_code.imports_from(folder):
        return module in sys.modules or importlib.util.find_spec(module) is not None


def _origin(module: str) -> str | None:
    """Return the file of a top-level module; None if it has none."""
    known = sys.modules.get(module)
    if known is not None:
        return getattr(known, "__file__", None)
    spec = importlib.util.find_spec(module)
    return None if spec is None else spec.origin


def _without_space(source: Path) -> str:
    """Return the text of a module without its search space.

    A space names other recommenders, which are not where this one is served.
    """
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for node in reversed(ast.parse(text).body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "SPACE" for target in targets):
            lines[node.lineno - 1 : node.end_lineno] = []
    return "".join(lines)


def imported_modules(path: Path) -> set[str]:
    """Return the top-level modules that a file imports anywhere, relative imports left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _is_installable(module: str) -> bool:
    """Return whether a module belongs to a package that an index has.

    One that was installed from a folder or a repository is carried as source instead, and so is a
    file that lies beside the code that imports it.
    """
    packages, origin = distributions(module), _origin(module)
    return bool(packages) and all(
        package.read_text("direct_url.json") is None
        and origin is not None
        and Path(origin).resolve().is_relative_to(Path(str(package.locate_file(""))).resolve())
        for package in packages
    )


def distributions(module: str) -> list[metadata.Distribution]:
    """Return the installed packages that a top-level module comes from."""
    names = _packages_by_module(tuple(sys.path)).get(module, ())
    return [metadata.distribution(name) for name in sorted(set(names))]


@cache
def _packages_by_module(path: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the names of installed packages; remembered for each `sys.path`."""
    return dict(metadata.packages_distributions())


def _copy(source: Path, folder: Path) -> Path:
    """Copy a package into a folder; return the copy."""
    copied = shutil.copytree(source, folder / source.name, ignore=_IGNORED)
    return Path(copied)
