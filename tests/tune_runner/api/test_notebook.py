"""The notebook of docs/examples is executed, on the Ray session that the tests share."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[3] / "docs"
NOTEBOOK = nbformat.read(DOCS / "examples" / "study.ipynb", as_version=4)


def test_the_notebook_is_kept_without_outputs():
    assert not any(cell.get("outputs") for cell in NOTEBOOK.cells)


def test_every_block_of_the_guide_is_a_cell_of_the_notebook():
    blocks = re.findall(r"```py\n(.*?)\n```", (DOCS / "guides" / "python_api.md").read_text(), re.S)
    assert blocks
    sources = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert [block for block in blocks if block not in sources] == []


@pytest.mark.ray
@pytest.mark.slow
def test_the_notebook_runs(ray_cluster, tracking_uri, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    resources = {"metadata": {"path": str(tmp_path)}}
    ran = NotebookClient(NOTEBOOK.copy(), timeout=200, resources=resources).execute()
    *_, report, recommended, state = (
        str(cell.outputs) for cell in ran.cells if cell.cell_type == "code"
    )
    assert "Does dropout help" in report
    assert "rank" in recommended
    assert "'complete'" in state
    assert (tmp_path / "runs" / "dropout" / "study.json").is_file()
