"""train, evaluate, recommend: one checkpoint, asked and judged in every way."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from diffrec.__main__ import main
from diffrec.data import load_dataset
from diffrec.training.checkpoint import load_checkpoint


def train(out: Path, *more: str) -> int:
    return main(["train", "--dataset", "embedded", "--out", str(out), *more])


@pytest.fixture(scope="module")
def ease(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("ease")
    assert train(out, "--variant", "EASE", "--set", "regularization=50") == 0
    return out


def refused(arguments: list[str], capsys) -> str:
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_a_checkpoint_bears_its_configuration_dataset_and_metrics(ease):
    loaded = load_checkpoint(ease / "model.pt")
    assert loaded.config.to_dict() == json.loads((ease / "config.json").read_text())
    assert loaded.config.to_dict()["regularization"] == 50.0
    assert loaded.dataset["sha256"] == load_dataset("embedded").sha256
    metrics = json.loads((ease / "metrics.json").read_text())
    assert metrics == {"best/epoch": 1} | loaded.metrics


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("L-DiffRec", ["training.max_epochs=1", "training.eval_every=1"]),
        ("T-DiffRec", ["training.max_epochs=1", "training.eval_every=1"]),
        (
            "T-DiffRec",
            [
                "training.max_epochs=1",
                "training.eval_every=1",
                "diffusion.noise_scale=0.5",
                "diffusion.num_inference_noise_steps=2",
                "diffusion.stochastic_sampling=true",
            ],
        ),
        ("MultVAE", ["training.max_epochs=1", "training.eval_every=1"]),
        ("ItemKNN", ["num_neighbours=7"]),
        ("Popularity", []),
        ("RecencyEASE", ["half_life=2.5"]),
    ],
)
def test_a_checkpoint_of_any_family_scores_what_training_reported(
    variant, settings, tmp_path, capsys
):
    changes = [part for setting in settings for part in ("--set", setting)]
    assert train(tmp_path, "--variant", variant, "--seed", "3", *changes) == 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    for on in ("test", "valid"):
        capsys.readouterr()
        assert main(["evaluate", "--checkpoint", str(tmp_path), "--on", on, "--json"]) == 0
        metrics = json.loads(capsys.readouterr().out)
        assert metrics == pytest.approx({k: written[k] for k in metrics})


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_written_recommendations_score_like_the_checkpoint(ease, ending, tmp_path, capsys):
    out = tmp_path / f"lists.{ending}"
    arguments = ["--checkpoint", str(ease), "-k", "50", "--out", str(out)]
    assert main(["recommend", *arguments]) == 0
    capsys.readouterr()
    judged = ["--recommendations", str(out), "--dataset", "embedded", "--json"]
    assert main(["evaluate", *judged]) == 0
    metrics = json.loads(capsys.readouterr().out)
    written = json.loads((ease / "metrics.json").read_text())
    assert "test/recall@50" in metrics
    assert "test/recall@100" not in metrics  # the lists are too short to say
    assert metrics == pytest.approx({k: written[k] for k in metrics})


def table(capsys) -> pl.DataFrame:
    return pl.read_csv(capsys.readouterr().out.encode())


def test_seen_items_come_only_when_asked_for(ease, capsys):
    data = load_dataset("embedded")
    seen = {*data.train.items_of(7).tolist(), *data.valid.items_of(7).tolist()}
    capsys.readouterr()
    main(["recommend", "--checkpoint", str(ease), "--users", "7", "-k", "400"])
    fresh = table(capsys)
    assert not seen & set(fresh["item"])
    assert len(fresh) == data.num_items - len(seen)
    arguments = ["--users", "7", "-k", "400", "--include-seen"]
    main(["recommend", "--checkpoint", str(ease), *arguments])
    assert len(table(capsys)) == data.num_items


@pytest.mark.parametrize("option", ["--ask-with", "--history-from"])
def test_asking_with_all_lists_hides_the_test_items_too(option, ease, capsys):
    data = load_dataset("embedded")
    capsys.readouterr()
    main(["recommend", "--checkpoint", str(ease), "--users", "7", "-k", "400", option, "all"])
    assert not set(data.test.items_of(7).tolist()) & set(table(capsys)["item"])


def test_a_history_is_answered_the_same_from_the_command_line_and_from_json_lines(
    ease, tmp_path, capsys
):
    lines = tmp_path / "histories.jsonl"
    lines.write_text('[5, 9, 11]\n\n{"user": "ann", "history": [9, 5, 9, 11]}\n')
    capsys.readouterr()
    main(["recommend", "--checkpoint", str(ease), "--history", "5,9,11", "-k", "3"])
    single = table(capsys)
    main(["recommend", "--checkpoint", str(ease), "--histories", str(lines), "-k", "3"])
    both = table(capsys)
    assert both["user"].to_list() == ["1"] * 3 + ["ann"] * 3
    assert both["item"].to_list() == single["item"].to_list() * 2


def test_the_checkpoint_of_a_tuning_trial_recommends_as_well(ease, tmp_path, capsys):
    loaded = load_checkpoint(ease / "model.pt")
    state = {"run": {"config": loaded.config.to_dict(), "best_state": loaded.state}, "seconds": 1.0}
    torch.save(state, tmp_path / "state.pt")
    arguments = ["--checkpoint", str(tmp_path / "state.pt"), "--users", "1", "-k", "2"]
    assert "give --dataset" in refused(["recommend", *arguments], capsys)
    assert main(["recommend", *arguments, "--dataset", "embedded"]) == 0
    assert len(table(capsys)) == 2


def test_a_written_configuration_trains_to_the_same_metrics(ease, tmp_path, capsys):
    arguments = ["--config", str(ease / "config.json")]
    assert train(tmp_path / "again", *arguments) == 0
    first, again = ((f / "metrics.json").read_text() for f in (ease, tmp_path / "again"))
    assert first == again
    (tmp_path / "broken.json").write_text("{")
    base = ["train", "--dataset", "embedded", "--out", tmp_path / "x", "--config"]
    assert "configuration in JSON" in refused([*base, tmp_path / "broken.json"], capsys)
    (tmp_path / "broken.json").write_text("[]")
    assert "a JSON object" in refused([*base, tmp_path / "broken.json"], capsys)


def test_original_ids_go_in_and_come_out(tmp_path, capsys):
    folder = tmp_path / "shop"
    folder.mkdir()
    rng = np.random.default_rng(0)
    items = np.argsort(rng.random((8, 12)), axis=1)
    for name, columns in (
        ("train", items[:, :6]),
        ("valid", items[:, 6:7]),
        ("test", items[:, 7:9]),
    ):
        users = np.repeat(np.arange(8), columns.shape[1])
        np.save(folder / f"{name}_list.npy", np.stack([users, columns.ravel()], axis=1))
    np.save(folder / "item_ids.npy", np.array([f"sku-{n}" for n in range(12)]))
    np.save(folder / "user_ids.npy", np.arange(100, 108))
    arguments = ["train", "--variant", "Popularity", "--dataset", str(folder)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    command = ["recommend", "--checkpoint", str(tmp_path / "out"), "--dataset", str(folder)]
    assert main([*command, "--users", "103", "-k", "4"]) == 0
    rows = table(capsys)
    assert set(rows["user"]) == {103}
    assert all(item.startswith("sku-") for item in rows["item"])
    assert main([*command, "--history", "sku-1, sku-2", "-k", "12"]) == 0
    assert not {"sku-1", "sku-2"} & set(table(capsys)["item"])
    assert "of --history must be one of the dataset's 12 items" in refused(
        [*command, "--history", "sku-99"], capsys
    )


def test_faults_of_training_are_one_sentence(ease, tmp_path, capsys):
    base = ["train", "--dataset", "embedded", "--out", tmp_path / "x", "--variant"]
    assert "did you mean 'EASE'" in refused([*base, "EASY"], capsys)
    assert "regularization > 0" in refused([*base, "EASE", "--set", "regularization=0"], capsys)
    assert "did you mean 'half_life'" in refused([*base, "EASE", "--set", "halflife=2"], capsys)
    assert "path=value" in refused([*base, "EASE", "--set", "seed"], capsys)
    assert "The device must be" in refused([*base, "EASE", "--device", "tpu"], capsys)
    again = ["train", "--dataset", "embedded", "--out", ease]
    assert "--force" in refused(again, capsys)


def test_faults_of_recommending_are_one_sentence(ease, tmp_path, capsys):
    base = ["recommend", "--checkpoint", ease]
    assert "No checkpoint" in refused(["recommend", "--checkpoint", tmp_path], capsys)
    (tmp_path / "model.pt").write_text("no")
    assert "cannot be read" in refused(["recommend", "--checkpoint", tmp_path], capsys)
    torch.save({"a": 1}, tmp_path / "model.pt")
    assert "no trained recommender" in refused(["recommend", "--checkpoint", tmp_path], capsys)
    assert "ids run from 0" in refused([*base, "--users", "9999"], capsys)
    assert "at least 1" in refused([*base, "-k", "0"], capsys)
    assert "must end in" in refused([*base, "--out", "x.xlsx"], capsys)
    assert "is empty" in refused([*base, "--history", ","], capsys)
    lines = tmp_path / "lines.jsonl"
    for text, words in (
        ("", "is empty"),
        ("[1, 2\n", "line 1"),
        ('{"user": 3}', "Each line must be"),
        ("[1]\n[400]", "line 2"),
    ):
        lines.write_text(text)
        assert words in refused([*base, "--histories", lines], capsys)


def test_faults_of_ready_lists_are_one_sentence(tmp_path, capsys):
    path = tmp_path / "lists.csv"
    base = ["evaluate", "--recommendations", path, "--dataset", "embedded"]
    for text, words in (
        ("user,item\n1,2\n", "rank (or score)"),
        ("user,item,rank\n1,2,first\n", "a number as `rank`"),
        ("user,item,rank\n1,,3\n", "no empty cells"),
        ("user,item,rank\n1,2,1\n1,2,2\n", "1 rows repeat one"),
        ("user,item,rank\n1,2,1\n", "at least 10 items long"),
        ("user,item,rank\n1,999,1\n", "one of the dataset's 400 items"),
        ("", "cannot be read"),
    ):
        path.write_text(text)
        assert words in refused(base, capsys)
    path.unlink()
    assert "No table" in refused(base, capsys)


def test_scores_rank_the_highest_first_and_missing_users_are_misses(tmp_path, capsys):
    target = load_dataset("embedded").test
    hit = int(target.items_of(0)[0])
    non_targets = [i for i in range(30) if i not in set(target.items_of(0).tolist())][:9]
    rows = [f"0,{item},{-n}" for n, item in enumerate(non_targets, start=1)]
    path = tmp_path / "lists.csv"
    path.write_text("\n".join(["user,item,score", *rows, f"0,{hit},5.5"]))
    capsys.readouterr()
    arguments = ["--recommendations", str(path), "--dataset", "embedded", "--json"]
    assert main(["evaluate", *arguments]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["test/mrr@10"] == pytest.approx(1 / 600)
    assert "599 users have no recommendations" in out.err


def test_a_query_with_valid_is_another_metric_and_another_result(ease, capsys):
    metrics = json.loads((ease / "metrics.json").read_text())
    command = ["evaluate", "--checkpoint", str(ease / "model.pt"), "--json"]
    capsys.readouterr()
    assert main(command) == 0
    published = json.loads(capsys.readouterr().out)
    assert main([*command, "--history", "train+valid"]) == 0
    longer = json.loads(capsys.readouterr().out)
    assert longer == {k: v for k, v in metrics.items() if k.startswith("test_with_valid/")}
    assert published == {k: v for k, v in metrics.items() if k.startswith("test/")}
    assert longer["test_with_valid/recall@20"] != published["test/recall@20"]


def test_a_query_with_valid_that_gives_the_answers_away_is_refused(ease, capsys):
    command = ["evaluate", "--checkpoint", ease / "model.pt", "--history", "train+valid"]
    assert "holds the answers" in refused([*command, "--on", "valid"], capsys)
