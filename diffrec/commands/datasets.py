"""How commands name a dataset: by name, or by the path of its folder."""

from pathlib import Path


def locate(dataset: str, data_dir: Path | None) -> tuple[str, Path | None]:
    """Return (name, data directory) for `load_dataset`: a path is split into the two."""
    path = Path(dataset).expanduser()
    if data_dir is None and path.name != dataset:
        path = path.resolve()
        return path.name, path.parent
    return dataset, data_dir
