"""How commands name a dataset: by name, or by the path of its folder."""

from pathlib import Path

from diffrec.errors import UserError

EMBEDDED_NAME = "embedded"


def locate(dataset: str, data_dir: Path | None) -> tuple[str, Path | None]:
    """Return (name, data directory) for `load_dataset`: a path is split into the two."""
    path = Path(dataset).expanduser()
    if data_dir is None and path.name != dataset:
        path = path.resolve()
        if path.name == EMBEDDED_NAME:
            raise UserError(
                f"{EMBEDDED_NAME!r} is the name of the built-in dataset, not of a folder, but got "
                f"{dataset!r}; rename the folder."
            )
        return path.name, path.parent
    return dataset, data_dir
