"""Packages that a served recommender needs, as it is seen to load and answer without this project.

The saved model is loaded in a process of its own, whose path begins with the carried code and has
nothing of the working directory: what it imports there is what it needs.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from diffrec.errors import UserError
from tune_runner.packaging.carried_code import CarriedCode, distributions, imported_modules

_ALWAYS = "mlflow"
"""Package that loads and serves the model."""

_SECONDS = 300

_PROBE = """
import json, sys
request = json.load(sys.stdin)
sys.path.insert(0, request["code"])
import pandas
from diffrec.serving import HISTORY, _load_pyfunc
try:
    model = _load_pyfunc(request["data"])
    answer = model.predict(pandas.DataFrame({HISTORY: request["histories"]}))
except Exception as error:
    reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    json.dump({"error": reason}, sys.stdout)
else:
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    tops = sorted({name.partition(".")[0] for name in sys.modules})
    rows = answer.to_dict("list")
    json.dump({"files": [f for f in files if f], "modules": tops, "rows": rows}, sys.stdout)
"""


def find_requirements(
    code: CarriedCode, data: Path, histories: Sequence[Sequence[Any]], recommender: str
) -> list[str]:
    """Return the pinned packages of a saved model, sorted.

    Args:
        code: what the model carries.
        data: folder of `diffrec.serving.save_served`.
        histories: input of the prediction.
        recommender: its name, for messages.

    Raises:
        UserError: it does not load, or does not answer, with the carried code alone.
    """
    seen = _probe(code.folder, data, histories, recommender)
    own = [Path(name) for name in seen["files"] if Path(name).is_relative_to(code.folder)]
    imported = {module for path in own if path.suffix == ".py" for module in imported_modules(path)}
    needed = (imported & set(seen["modules"])) | code.packages
    carried = {path.name.partition(".")[0] for path in code.folder.iterdir()}
    needed -= carried | sys.stdlib_module_names
    packages = [package for module in needed for package in distributions(module)]
    return sorted({_pin(package) for package in (*packages, metadata.distribution(_ALWAYS))})


def _probe(
    code: Path, data: Path, histories: Sequence[Sequence[Any]], recommender: str
) -> dict[str, Any]:
    """Load the model in a process of its own; return what was imported there."""
    request = {"code": str(code), "data": str(data), "histories": [list(h) for h in histories]}
    command = [sys.executable, "-I", "-B", "-c", _PROBE]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            cwd=data,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"The recommender {recommender} cannot be served: it did not answer two short "
            f"histories within {_SECONDS} seconds; mend its `scores`."
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        seen = {"error": said[-1]}
    else:
        seen = json.loads(done.stdout)
    if "error" in seen:
        raise UserError(
            f"The recommender {recommender} cannot be served: with the code that it carries it "
            f"does not answer ({seen['error']}); put what it needs into its own module or package."
        )
    return seen


def _pin(package: metadata.Distribution) -> str:
    """Return `name==version`; a local label such as +cu126 is left out, since no index has it."""
    return f"{package.metadata['Name']}=={package.version.partition('+')[0]}"
