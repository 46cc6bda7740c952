"""Numbers that are none or absurd, empty and binary texts, and values that do not go together."""

import pytest

SMOKE = ["--space", "smoke"]
NUMBERS = [
    ("--max-hours", ["nan", "inf", "-inf", "-1", "0", "1h", ""]),
    ("--max-cost", ["nan", "inf", "-1", "0", "5 EUR", ""]),
    ("--max-kwh", ["nan", "inf", "-1", "0", "1e999", "x"]),
    ("--price", ["nan", "-1", "inf", "", "worker", "=1", "a=", "1,2", "a=1,a=2", "1;2", "1e9"]),
    ("--cpus-per-trial", ["nan", "inf", "-inf", "-1", "0", "many", "1e999"]),
    ("--gpus-per-trial", ["nan", "inf", "-inf", "-1", "Auto", "1e999", ""]),
    ("--fuse", ["nan", "inf", "-1", "0", "1.5", "1000000000", "auto "]),
    ("--max-concurrent", ["nan", "inf", "0", "-3", "1" + "0" * 30]),
    ("--trials", ["nan", "1e3", "0", "-1", "1000000000000", "1" + "0" * 400]),
    ("--seeds", ["nan", "0", "-2", "1000000000", "2.0", "1" + "0" * 5000]),
    ("--seed", ["nan", "-1", "1.5", "4294967296", "1" + "0" * 30]),
    ("--max-epochs", ["nan", "0", "-1", "1" + "0" * 30]),
    ("--patience", ["inf", "0", "-1", "1" + "0" * 30]),
    ("--confirm", ["nan", "0", "1000000000"]),
    ("--max-trials", ["nan", "0", "-5"]),
    (
        "--resources",
        [
            *("", "x", "3", "[1]", "null", "{}", '{"a": NaN}', '{"a": Infinity}', '{"a": 0}'),
            *('{"a": -1}', '{"a": "1"}', '{"a": true}', '{"a": 1e300}', '{"GPU": 1}', "[" * 10**5),
        ],
    ),
]
PREPARE = ["prepare", "ratings.csv", "--min-user", "2", "--min-item", "2", "--out", "new"]
TRAIN = ["train", "--dataset", "embedded", "--out", "new"]
VALUES = [
    *([*PREPARE, "--threshold", value] for value in ("nan", "inf", "high", "")),
    *([*PREPARE, "--ratio", value] for value in ("nan:1:2", "inf:1:1", "7:1", "0:1:1", "a:b:c")),
    *([*PREPARE, "--leave-last", value] for value in ("nan:1", "1.5:1", "inf:1", "1", "-1:1", "")),
    *([*PREPARE, "--split", "timestamp", "--moments", v] for v in ("nan:2", "inf:inf", "2:1", "1")),
    *([*PREPARE, "--random-noise", value] for value in ("nan", "inf", "-1", "1e9", "x")),
    *([*PREPARE, "--min-user", value] for value in ("nan", "0", "-1", "1" + "0" * 30)),
    *([*PREPARE, "--separator", value] for value in ("", "\0")),
    *([*PREPARE, "--encoding", value] for value in ("", "\0", "nope", "hex", "rot13", "undefined")),
    [*PREPARE, "--leave-last", "2:2"],
    [*PREPARE, "--split", "leave-last", "--ratio", "8:1:1"],
    *([*PREPARE, "--seed", value] for value in ("nan", "-1", "1" + "0" * 30)),
    *([*TRAIN, "--seed", value] for value in ("nan", "-1", "1" + "0" * 30)),
    *(
        [*TRAIN, "--set", setting]
        for setting in (
            "",
            "=3",
            "seed",
            "seed=x",
            "training.learning_rate=NaN",
            "training.learning_rate=Infinity",
            "training.learning_rate=1e999",
            "training.learning_rate=" + "9" * 400,
            "training.learning_rate=" + "9" * 5000,
            "training.learnin_rate=1",
            "training=3",
            "diffusion.num_steps=NaN",
            "diffusion.num_steps=2000000000",
            "diffusion.num_steps=true",
            "denoiser.hidden_dims=[2000000000]",
            "denoiser.hidden_dims=[1e9]",
            "denoiser.hidden_dims=[]",
            "denoiser.hidden_dims=[" + "1," * 99 + "1]",
            "denoiser.hidden_dims=" + "[" * 100_000,
            "denoiser.timestep_embedding_dim=2000000000",
            "training.batch_size=" + "9" * 30,
        )
    ),
    [*TRAIN, "--variant", "L-DiffRec", "--set", "autoencoder.num_clusters=2000000000"],
    [*TRAIN, "--variant", "L-DiffRec", "--set", "autoencoder.latent_dim=2000000000"],
    [*TRAIN, "--variant", "MultVAE", "--set", "hidden_dims=[2000000000]"],
    [*TRAIN, "--variant", "MultVAE", "--set", "latent_dim=2000000000"],
    [*TRAIN, "--variant", ""],
    [*TRAIN, "--device", "tpu"],
    ["embed", "data/good", "--method", "lightgcn", "--epochs", "1000000000"],
    ["embed", "data/good", "--method", "lightgcn", "--epochs", "nan"],
    ["embed", "data/good", "--method", "lightgcn", "--seed", "-1"],
    ["embed", "data/good", "--method", "word2vec"],
    ["check", ""],
    ["check", "data/huge_items"],
    ["check", "data/huge_users"],
    ["train", "--dataset", "data/huge_items", "--out", "new"],
    ["prepare", "", "--out", "new"],
    ["prepare", "ratings.csv", "--out", ""],
    ["fetch", ""],
    ["fetch", "ml-100k", "--url", ""],
    ["fetch", "ml-100k", "--url", "file:///etc/passwd"],
    ["fetch", "ml-100k", "--url", "ftp://127.0.0.1/x.zip"],
    ["fetch", "ml-100k", "--url", "http://127.0.0.1:1/x.zip"],
    ["fetch", "ml-100k", "--url", "http://127.0.0.1:99999/x.zip"],
    ["fetch", "ml-100k", "--url", "http://[::1/x.zip"],
    ["fetch", "ml-100k", "--url", "http:///x.zip"],
    ["fetch", "ml-100k", "--url", "http://a b/x.zip"],
    ["recommend", "--run", ""],
    ["recommend", "--run", "a'b"],
    ["recommend", "--run", "0" * 32],
    ["recommend", "--run", "clusters"],
    ["evaluate", "--run", "\udcff\udcfe"],
    ["evaluate"],
    ["nonsense"],
    [],
]


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in NUMBERS for value in values]
)
def test_a_number_that_no_study_can_have(refused, flag, value):
    message = refused("number", "tune_runner", [*SMOKE, flag, value])
    assert flag in message
    refused("number", "tune_runner", [*SMOKE, "--dry-run", flag, value])


@pytest.mark.parametrize("arguments", VALUES)
def test_a_value_that_no_command_can_use(refused, arguments):
    refused("value", "diffrec", arguments)


@pytest.mark.parametrize(
    "requested",
    [
        ["--users", ""],
        ["--users", " , "],
        ["--users", "nobody"],
        ["--users", "-1"],
        ["--users", "1.0"],
        ["--users", "\0"],
        ["--users", "\udcff\udcfe"],
        ["--users", "9" * 5000],
        ["--history", ""],
        ["--history", ","],
        ["--history", "\udcff"],
        ["--history", "1,NaN"],
        ["--histories", "empty"],
        ["--histories", "binary.bin"],
        ["--histories", "text.txt"],
        ["--histories", "data"],
        ["--histories", "deep.jsonl"],
        ["--histories", "numbers.jsonl"],
        ["-k", "0"],
        ["-k", "nan"],
        ["-k", "1" + "0" * 30],
        ["--dataset", ""],
        ["--dataset", "data/good"],
        ["--dataset", "../embedded"],
        ["--protocol", "random"],
        ["--device", "tpu"],
        ["--users", "1", "--history", "2"],
    ],
)
def test_a_question_without_an_answer(refused, workdir, checkpoint, requested):
    (workdir / "deep.jsonl").write_text("[" * 100_000)
    (workdir / "numbers.jsonl").write_text("[" + "9" * 5000 + "]")
    refused("question", "diffrec", ["recommend", "--checkpoint", str(checkpoint), *requested])


STUDIES = [
    ([], "Nothing to study"),
    (["--space", ""], "--space"),
    (["--space", "smoke", "--name", ""], "study's name"),
    (["--space", "smoke", "--name", "a\nb"], "study's name"),
    (["--space", "smoke", "--name", "\x1b[31m"], "study's name"),
    (["--space", "smoke", "--name", "\udcff"], "study's name"),
    (["--space", "smoke", "--name", "a\0b"], "study's name"),
    (["--space", "smoke", "--name", ".."], "study's name"),
    (["--space", "smoke", "--name", "../x"], "study's name"),
    (["--space", "smoke", "--dataset", "a/b"], "dataset"),
    (["--space", "smoke", "--dataset", ""], "dataset"),
    (["--space", "smoke", "--dataset", "\0"], "dataset"),
    (["--space", "smoke", "--dataset", "nowhere"], "'nowhere'"),
    (["--space", "smoke", "--dataset", "good", "--data-dir", "missing"], "missing"),
    (["--space", "smoke", "--dataset", "good", "--data-dir", "text.txt"], "text.txt"),
    (["--space", "smoke", "--dataset", "embeded"], "did you mean 'embedded'"),
    (["--space", "smoke", "--sampler", ""], "sampler"),
    (["--space", "smoke", "--pruner", "medain"], "did you mean 'median'"),
    (["--space", "smoke", "--precision", "fp64"], "precision"),
    (["--space", "smoke", "--protocol", "publishd"], "protocol"),
    (["--space", "smokee"], "did you mean 'smoke'"),
    (["--space", "text.txt"], "text.txt"),
    (["--space", "data"], "data"),
    (["--resume", "nothing"], "nothing"),
    (["--status", "nothing"], "nothing"),
    (["--status", "../here"], "name"),
    (["--status", "a\0b"], "name"),
    (["--resume", "a/b"], "name"),
    (["--add-trials", "3"], "--resume"),
    (["--frobnicate"], "unrecognized"),
    (["--space", "smoke", "--name", " "], "seen as it is"),
    (["--space", "smoke", "--name", "a\u202eb"], "seen as it is"),
    (["--space", "smoke", "--name", "\u200b"], "seen as it is"),
    (["--space", "smoke", "--runs-dir", ""], "--runs-dir"),
    (["--status", "x", "--runs-dir", "\0"], "--runs-dir"),
    (["--resume", "x", "--runs-dir", "a\0b"], "--runs-dir"),
    (["--space", "smoke", "--cpus-per-trial", "0.00001"], "four decimals"),
    (["--space", "smoke", "--gpus-per-trial", "0.33333"], "four decimals"),
    *(
        (["--space", "smoke", "--address", address], "--address must be")
        for address in (
            *("x", "ray://", "ray://h", "127.0.0.1", "127.0.0.1:0", "[::1]"),
            *("127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:port", "http://127.0.0.1:1", "a\0b"),
        )
    ),
    (["--space", "smoke", "--address", "127.0.0.1:1"], "No Ray cluster answers"),
]


@pytest.mark.parametrize(("arguments", "words"), STUDIES)
def test_a_study_that_cannot_be(refused, arguments, words):
    refused("study", "tune_runner", arguments, words)


SEEN_IN_A_DRY_RUN = [
    arguments
    for arguments, words in STUDIES
    if arguments[:1] == ["--space"] and "cluster" not in words
]


@pytest.mark.parametrize("arguments", SEEN_IN_A_DRY_RUN)
def test_a_dry_run_refuses_what_the_run_refuses(refused, arguments):
    refused("dry run", "tune_runner", [*arguments, "--dry-run"])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["nothing"],
        ["\udcff"],
        ["a\0b"],
        ["clusterz"],
        ["clusters", "--against", ""],
        ["clusters", "--against", "nothing"],
        ["clusters", "--figure", "nothing"],
        ["clusters", "--figure", ""],
        ["clusters", "extra"],
        ["--no-figures"],
    ],
)
def test_a_report_that_cannot_be(refused, arguments):
    refused("report", "analysis", arguments)
