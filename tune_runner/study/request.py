"""Checks of a study's settings that need neither Ray nor a database, for the dry run, too."""

from pathlib import Path

from diffrec.config.preset_choice import TargetDataset
from diffrec.data import EMBEDDED_NAME, load_dataset
from diffrec.errors import UserError
from diffrec.files import check_output_file, check_output_folder
from search_spaces import SearchSpace
from search_spaces.objectives import NEED_EMBEDDINGS, short_name
from tune_runner.resources.allocation import allocate, local_cluster
from tune_runner.study.config import StudyConfig, StudyPlan
from tune_runner.study.description import FOR_STATUS, read_description
from tune_runner.study.folder import StudyFolder
from tune_runner.tracking_uri import check_tracking_uri, database_path, default_tracking_uri


def check_folder(config: StudyConfig) -> None:
    """Refuse a folder of the studies, or a local database of MLflow, that cannot be written.

    Raises:
        UserError: it cannot be written.
    """
    check_output_folder(Path(config.runs_dir), "--runs-dir")
    if (folder := Path(config.runs_dir) / config.name).exists():
        check_output_folder(folder, "--runs-dir")
    database = database_path(default_tracking_uri())
    if database is not None:
        check_output_file(database, "MLflow's database")


def check_request(
    config: StudyConfig, space: SearchSpace, plan: StudyPlan, *, new: bool
) -> StudyPlan:
    """Refuse what the run would refuse, as far as that can be seen without starting anything.

    Args:
        config: what to study.
        space: its space.
        plan: its plan.
        new: there must be no study of that name.

    Returns:
        The plan, with presets chosen by the size of the dataset.

    Raises:
        UserError: the dataset, the folder or the resources are not there, or the name is taken.
    """
    # Making the embedded dataset takes longer than the whole dry run, and it has its own presets.
    is_preset = config.dataset == EMBEDDED_NAME and plan.target == TargetDataset(EMBEDDED_NAME)
    if not is_preset or any(short_name(name) in NEED_EMBEDDINGS for name in space.goals.metrics):
        data_dir = None if config.data_dir is None else Path(config.data_dir)
        dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
        plan = plan.for_dataset(dataset, space)
    check_folder(config)
    for name in (config.start_from or "").split(",") if new and config.start_from else ():
        read_description(StudyFolder(Path(config.runs_dir), name), FOR_STATUS)
    if new and StudyFolder(Path(config.runs_dir), config.name).exists():
        raise UserError(
            f"Study {config.name!r} exists already; resume it with --resume {config.name}, or "
            "choose another --name."
        )
    check_tracking_uri(default_tracking_uri())
    if config.address is None:
        allocate(config.request, local_cluster(), trials=plan.trials)
    return plan
