"""Replays on recorded curves: the file, the landscapes, and a search with a known answer."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import cli
from analysis.replay.comparison import ReplaySettings, replay_all
from analysis.replay.landscape import RecordedLandscape, encode
from analysis.replay.recording import (
    RecordedTrial,
    Recording,
    from_study,
    read_recording,
    write_recording,
)
from analysis.study import mlflow_reader
from diffrec.errors import UserError
from search_spaces import LogUniform, SearchSpace, Uniform
from tune_runner.search.replay import replay_search
from tune_runner.study.config import StudyPlan

SHIPPED = Path(__file__).parents[3] / "benchmarks" / "replay" / "joint_embedded.csv.gz"
RATE = "training.learning_rate"


def bowl(noise=0.0, points=60, epochs=(5, 10, 15, 20)):
    """Curves of one parameter: the best final value is 0.4 at a rate of 1e-3."""
    space = SearchSpace(
        name="bowl",
        question="?",
        variant="DiffRec",
        domains={RATE: LogUniform(1e-5, 1e-1), "denoiser.dropout": Uniform(0.1, 0.8)},
        strategy="random",
        trials=20,
    )
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(points):
        rate = 10 ** rng.uniform(-5, -1)
        params = {RATE: rate, "denoiser.dropout": float(rng.uniform(0.1, 0.8))}
        for seed in (1, 2):
            final = 0.4 - 0.1 * abs(np.log10(rate) + 3) + noise * rng.normal()
            trials.append(RecordedTrial(params, seed, {e: final * e / 20 for e in epochs}))
    return Recording("bowl", "embedded", space, tuple(trials))


def settings(*samplers, pruners=("none",), seeds=1, trials=20, repeats=8):
    return ReplaySettings(samplers, pruners, seeds, trials, 2, repeats)


def test_a_recording_survives_its_file_which_is_the_same_every_time(tmp_path):
    recording = bowl(0.01)
    for name in ("a.csv.gz", "b.csv.gz"):
        write_recording(recording, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    read = read_recording(tmp_path / "a.csv.gz")
    assert (read.name, read.dataset, read.space) == ("bowl", "embedded", recording.space)
    for one, other in zip(read.trials, recording.trials, strict=True):
        assert (one.params, one.seed) == (other.params, other.seed)
        assert one.curve == pytest.approx(other.curve, abs=1e-5)


def test_the_nearest_landscape_gives_back_what_was_recorded():
    recording = bowl()
    landscape = RecordedLandscape(recording, "nearest")
    for trial in recording.trials[::10]:
        assert landscape.curve(trial.params, trial.seed) == pytest.approx(trial.curve)
        assert landscape.truth(trial.params) == pytest.approx(max(trial.curve.values()))


def test_the_surrogate_explains_a_smooth_landscape_and_its_noise_is_that_of_the_seeds():
    landscape = RecordedLandscape(bowl(0.02), "surrogate")
    assert landscape.explained > 0.8
    params = {RATE: 2e-3, "denoiser.dropout": 0.4}
    finals = [landscape.curve(params, seed)[20] for seed in range(400)]
    assert np.std(finals) == pytest.approx(0.02, rel=0.35)
    assert np.mean(finals) == pytest.approx(landscape.truth(params), abs=0.01)
    assert landscape.curve(params, 3) == landscape.curve(params, 3)
    assert landscape.curve(params, 3) != landscape.with_noise(1).curve(params, 3)


def test_a_point_is_encoded_by_its_place_and_what_is_inactive_is_told_apart():
    recording = read_recording(SHIPPED)
    row = dict.fromkeys(recording.space.domains)
    lengths = {len(encode(recording.space, trial.params)) for trial in recording.trials}
    assert len(lengths) == 1
    assert lengths.pop() > len(row)


def test_the_shipped_recording_can_be_searched():
    landscape = RecordedLandscape(read_recording(SHIPPED), "surrogate")
    assert landscape.num_points >= 100
    found = replay_search(landscape, StudyPlan("random", "median", (1, 2), 12), workers=2, seed=0)
    assert len(found.truths) == 12
    assert list(found.epochs) == sorted(found.epochs)
    assert all(ran <= full for ran, full in zip(found.epochs, found.full_epochs, strict=True))


def test_a_learning_sampler_beats_random_where_there_is_something_to_learn():
    random, tpe = replay_all(RecordedLandscape(bowl(), "surrogate"), settings("random", "tpe"))
    assert tpe.against(random).mean < 0
    assert np.all(np.diff(random.regret) <= 1e-12), "without noise the leader only gets better"
    assert random.saved.mean == 0.0


def test_pruning_saves_epochs_at_no_regret_where_the_order_never_changes():
    none, median = replay_all(
        RecordedLandscape(bowl(), "surrogate"), settings("random", pruners=("none", "median"))
    )
    assert median.saved.mean > 0.1
    assert median.against(none).mean == pytest.approx(0, abs=1e-9)


def test_the_command_compares_exports_and_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recording(bowl(0.01), Path("bowl.csv.gz"))
    words = ["replay", "bowl.csv.gz", "--sampler", "random", "tpe", "--repeats", "3"]
    words += ["--trials", "9", "--seeds", "2"]
    assert cli.main([*words, "--figure", "x.svg"]) == 0
    text = capsys.readouterr().out
    assert "| search | regret after 3 | regret after 6 | regret after 9 |" in text
    assert "3 simulated studies of 9 trials each, 2 seeds a point" in text
    assert Path("x.svg").read_text().startswith("<?xml")
    assert cli.main([*words, "--json", "--landscape", "nearest"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["sampler"] for one in answer["searches"]] == ["random", "tpe"]
    assert len(answer["searches"][0]["regret_by_trial"]) == 9
    assert "nearest recorded point" in answer["note"]
    assert cli.main(["replay", "bowl.csv.gz", "--export", "again.csv.gz"]) == 0
    assert Path("again.csv.gz").read_bytes() == Path("bowl.csv.gz").read_bytes()


def test_a_wrong_word_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recording(bowl(), Path("bowl.csv.gz"))
    Path("text.csv.gz").write_bytes(gzip.compress(b"# {}\n"))
    Path("few.csv.gz").write_text("not gzip")
    few = Recording("few", "embedded", bowl().space, bowl().trials[:6])
    write_recording(few, Path("small.csv.gz"))
    for words, reason in (
        (["bowl.csv.gz", "--sampler", "tpee"], "did you mean 'tpe'"),
        (["bowl.csv.gz", "--sampler", "cmaes", "--pruner", "mean"], "did you mean 'median'"),
        (["bowl.csv.gz", "--landscape", "flat"], "--landscape must be one of surrogate, nearest"),
        (["bowl.csv.gz", "--repeats", "1"], "--repeats must be 2 or more"),
        (["bowl.csv.gz", "--trials", "0"], "--trials must be 1 or more"),
        (["bowl.csv.gz", "--figure", "x.pdf"], "--figure must end in .png or .svg"),
        (["bowl.csv.gz", "--export", "x.csv"], "--export writes a file *.csv.gz"),
        (["bowl.csv.gz", "--export", "bowl.csv.gz"], "--export would replace"),
        (["text.csv.gz"], "is no recording of curves"),
        (["few.csv.gz"], "is no recording of curves"),
        (["small.csv.gz"], "A replay needs 10 complete points or more, but"),
        (["none.csv.gz"], "none.csv.gz"),
    ):
        assert cli.main(["replay", *words]) == 2, words
        assert reason in capsys.readouterr().err, words


def test_a_study_of_mlflow_becomes_a_recording(store):
    parent = store.grid(seeds=(1, 2))
    assert parent
    client = mlflow_reader.connect(store.uri)
    study = mlflow_reader.read_study(client, "clusters")
    study = mlflow_reader.with_curves(client, study, [study.objective])
    domains = dict(study.space["domains"])
    domains["autoencoder.num_clusters"] = {"kind": "choice", "values": [2, 10]}
    study = replace(study, space={**study.space, "domains": domains})
    front = {**study.space, "objectives": [{"name": "valid/recall@20"}, {"name": "valid/gini@20"}]}
    with pytest.raises(UserError, match="one objective and no constraint"):
        from_study(replace(study, space=front))
    with pytest.raises(UserError, match="needs 10 complete points or more, but Study 'clusters'"):
        from_study(study)
