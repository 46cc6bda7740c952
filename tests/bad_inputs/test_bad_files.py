"""Files that are valid and not ours, databases that are dead, and URLs with passwords in them."""

import json

import pytest
import torch

SMOKE = ["--space", "smoke"]
STUDY = {
    "settings": {"space": "smoke", "name": "own", "dataset": "embedded"},
    "plan": {"sampler": "grid", "pruner": "none", "seeds": [1], "trials": 2, "overrides": {}},
    "space": {"name": "smoke", "objective": {"name": "valid/recall@20", "direction": "maximize"}},
    "dataset": {"name": "embedded", "sha256": "", "protocol": "published"},
}
DESCRIPTIONS = {
    "empty": "",
    "half": '{"settings": {',
    "a list": "[1, 2]",
    "a number": "3",
    "null": "null",
    "nothing in it": "{}",
    "another program's": '{"name": "left-pad", "version": "1.0.0"}',
    "no plan": json.dumps(STUDY | {"plan": None}),
    "a plan of text": json.dumps(STUDY | {"plan": "grid"}),
    "a plan without trials": json.dumps(STUDY | {"plan": {}}),
    "trials of text": json.dumps(STUDY | {"plan": STUDY["plan"] | {"trials": "two"}}),
    "settings of a list": json.dumps(STUDY | {"settings": []}),
    "settings without a name": json.dumps(STUDY | {"settings": {}}),
    "an unknown setting": json.dumps(STUDY | {"settings": STUDY["settings"] | {"colour": 1}}),
    "a name of another type": json.dumps(STUDY | {"settings": STUDY["settings"] | {"name": 3}}),
    "a space of text": json.dumps(STUDY | {"space": "smoke"}),
    "a dataset of text": json.dumps(STUDY | {"dataset": "embedded"}),
    "deep": "[" * 100_000,
    "binary": b"\xff\xfe\x00{",
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("flag", ["--status", "--resume"])
def test_a_description_that_is_not_ours(refused, workdir, flag, name):
    folder = workdir / "runs" / "own"
    folder.mkdir(parents=True)
    content = DESCRIPTIONS[name]
    (folder / "study.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused("study.json", "tune_runner", [flag, "own"])


def good(checkpoint):
    return torch.load(checkpoint, weights_only=True)


NOT_OURS = {
    "a tensor": lambda c: torch.zeros(3),
    "a number": lambda c: 3,
    "a list": lambda c: [1, 2],
    "another's state": lambda c: {"state_dict": {"w": torch.zeros(2)}},
    "the format alone": lambda c: {"format": c["format"]},
    "no weights": lambda c: c | {"model": {}},
    "weights of text": lambda c: c | {"model": {"weights": "x"}},
    "other weights": lambda c: c | {"model": {"w": torch.zeros(2)}},
    "weights of NaN": lambda c: c | {"model": {"weights": c["model"]["weights"] * torch.nan}},
    "weights of infinity": lambda c: c | {"model": {"weights": c["model"]["weights"] + torch.inf}},
    "a few weights": lambda c: c | {"model": {"weights": c["model"]["weights"][:3]}},
    "no configuration": lambda c: c | {"config": None},
    "a configuration of text": lambda c: c | {"config": "EASE"},
    "another family": lambda c: c | {"config": {"family": "bert4rec"}},
    "a family of a list": lambda c: c | {"config": {"family": ["ease"]}},
    "another's configuration": lambda c: c | {"config": {"family": "popularity"}},
    "a dataset of text": lambda c: c | {"dataset": "embedded"},
    "a dataset without a name": lambda c: c | {"dataset": {"sha256": ""}},
    "a dataset that is gone": lambda c: c | {"dataset": c["dataset"] | {"name": "gone"}},
    "a dataset's number": lambda c: c | {"dataset": c["dataset"] | {"name": 3}},
    "a protocol of none": lambda c: c | {"dataset": c["dataset"] | {"protocol": "x"}},
    "metrics of text": lambda c: c | {"metrics": "good"},
    "an empty run": lambda c: {"run": {}},
    "a run of text": lambda c: {"run": {"best_state": "x", "config": {}}},
}


@pytest.mark.parametrize("name", NOT_OURS)
@pytest.mark.parametrize("command", ["recommend", "evaluate"])
def test_a_checkpoint_that_is_not_ours(refused, workdir, checkpoint, command, name):
    torch.save(NOT_OURS[name](good(checkpoint)), workdir / "own.pt")
    refused("checkpoint", "diffrec", [command, "--checkpoint", "own.pt"])


@pytest.mark.parametrize("name", ["empty", "text.txt", "binary.bin", "data", "half.pt", "nowhere"])
def test_a_file_that_is_no_checkpoint(refused, workdir, checkpoint, name):
    content = checkpoint.read_bytes()
    (workdir / "half.pt").write_bytes(content[: len(content) // 2])
    refused("checkpoint", "diffrec", ["recommend", "--checkpoint", name])


CONFIGS = ["", "{", "[]", "3", "null", '"EASE"', "[" * 100_000, '{"family": 3}', '{"family": []}']
CONFIGS += ['{"family": "eas"}', '{"diffusion": 3}', '{"diffusion": {"num_steps": "5"}}']
CONFIGS += ['{"family": "ease", "family": "popularity"}', "\ufeff{", '{"family": "\\ud800"}']
CONFIGS += ['{"seed": NaN}', '{"seed": 1e999}', '{"colour": 1}', '{"training": [1]}']


@pytest.mark.parametrize("text", CONFIGS)
def test_a_configuration_that_is_not_ours(refused, workdir, text):
    (workdir / "own.json").write_text(text)
    arguments = ["train", "--config", "own.json", "--dataset", "embedded", "--out", "new"]
    refused("config.json", "diffrec", arguments)


MANIFESTS = ["", "{", "[1]", "3", "{}", '{"files": 3}', '{"files": [1]}', '{"files": {"a": 1}}']
MANIFESTS += ['{"files": {"../a": "x"}}', '{"files": {"": "x"}}', "[" * 100_000, "\udcff"]


@pytest.mark.parametrize("text", MANIFESTS)
@pytest.mark.parametrize("command", [["check"], ["embed", "--force"]])
def test_a_manifest_that_is_not_ours(refused, workdir, command, text):
    (workdir / "data/good/manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    refused("manifest", "diffrec", [*command, "data/good"])


TABLES = ["", "user,item\n1,2\n", "user,item,rank\n", "user,item,rank\n0,0,nan\n"]
TABLES += ["user,item,rank\n0,0,x\n", "user,item,rank\nnobody,0,1\n", "user,item,rank\n0,0\n"]
TABLES += ["user,item,score\n0,0,inf\n0,1,nan\n", "user,item,rank\n\0,0,1\n"]


@pytest.mark.parametrize("text", TABLES)
def test_a_table_that_ranks_nothing(refused, workdir, text):
    (workdir / "own.csv").write_text(text)
    arguments = ["evaluate", "--recommendations", "own.csv", "--dataset", "embedded"]
    refused("table", "diffrec", arguments)


@pytest.mark.parametrize("name", ["binary.bin", "text.txt", "binary.csv", "binary.parquet", "data"])
def test_a_file_that_is_no_table(refused, workdir, name):
    for ending in ("csv", "parquet"):
        (workdir / f"binary.{ending}").write_bytes(bytes(range(256)))
    arguments = ["evaluate", "--recommendations", name, "--dataset", "embedded"]
    refused("table", "diffrec", arguments)


DEAD = "127.0.0.1:1"
RECORDS = [
    f"postgresql://u@{DEAD}/d",
    f"postgresql+psycopg://u@{DEAD}/d",
    f"mysql+pymysql://u@{DEAD}/d",
    "postgresql+nothing://u@h/d",
    "postgresql://u@h:port/d",
    f"http://{DEAD}",
    "https://127.0.0.1:99999",
    "http://",
    "http://[::1",
    "file:///tmp/mlruns",
    "mlruns",
    "",
    "sqlite://x.db",
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite:///missing.db",
    "sqlite:///nowhere/missing.db",
    "sqlite:///text.txt",
    "sqlite:///binary.bin",
    "sqlite:///empty",
    "sqlite:///data",
    "sqlite:////dev/null",
    "ftp://127.0.0.1/x",
    "nonsense://x",
]


@pytest.mark.parametrize("uri", [uri for uri in RECORDS if uri])
def test_a_record_that_cannot_be_read(refused, uri):
    refused("record", "analysis", ["clusters", "--tracking-uri", uri])


@pytest.mark.parametrize("uri", [uri for uri in RECORDS if "missing" not in uri and uri])
def test_a_record_that_no_model_is_found_in(refused, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    refused("record", "diffrec", ["recommend", "--run", "clusters"])


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize("path", ["fifo", "loop", "dangling", "data", "text.txt/x.db", "x" * 300])
def test_a_record_that_cannot_be_written(refused, monkeypatch, path, more):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    said = refused("record", "tune_runner", [*SMOKE, *more])
    assert "MLflow's database" in said


def test_the_sentence_names_what_the_user_gave(refused, monkeypatch):
    dead = f"postgresql+psycopg://u@{DEAD}/d"
    given = ["clusters", "--tracking-uri", dead]
    assert "correct --tracking-uri" in refused("record", "analysis", given)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead)
    assert "correct MLFLOW_TRACKING_URI" in refused("record", "analysis", ["clusters"])
    train = ["train", "--dataset", "nowhere", "--out", "new"]
    assert "--data-dir must be" in refused("dataset", "diffrec", [*train, "--data-dir", "gone"])
    monkeypatch.setenv("DIFFREC_DATA", "gone")
    assert "DIFFREC_DATA must be" in refused("dataset", "diffrec", train)


STORES = [
    f"postgresql+psycopg://u@{DEAD}/d",
    "postgresql+nothing://u@h/d",
    "postgresql://u@h:port/d",
    "postgresql://u@[::1/d",
    "postgresql://u@h",
    "postgres://u@h/d",
    "postgresq://u@h/d",
    "oracle://u@h/d",
    "x",
    "",
    "sqlite://x.db",
    "sqlite:///",
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite:////nowhere/x.db",
    "sqlite:///text.txt/x.db",
    "sqlite:///data",
    "sqlite:///fifo",
    "journal:///x",
    "http://h/d",
]
SECRET = "hunter2"
SECRETS = [
    f"postgresql://u:{SECRET}@h/d",
    f"postgresql+psycopg://u:{SECRET}@h/d",
    f"postgresql://u@h/d?password={SECRET}",
    f"postgresql://u@h/d?sslmode=require&password={SECRET}",
    f"postgresql://u@h/d?sslpassword={SECRET}",
    f"postgresql://u@h/d?PASSWORD={SECRET}",
    f"postgresql://u@h/d?p%61ssword={SECRET}",
    f"mysql://u@h/d?passwd={SECRET}",
    f"mysql://u@h/d?pwd={SECRET}",
    f"mysql://u:{SECRET}@h/d",
    f"postgresql://u:pa@{SECRET}@h/d",
    f"postgresql://u:12/{SECRET}@h/d",
    f"postgresql://u:{SECRET}:@h/d",
    f"postgresql://u:{SECRET} x@h/d",
    f"postgresql://u:a?{SECRET}@h/d",
    f"postgresql://u:a#{SECRET}@h/d",
    f"postgresql://:{SECRET}@h/d",
    f"postgresql://u@h/d#password={SECRET}",
    f"postgresql://u@h/d?pass={SECRET}",
    f"postgresql://u@h/d;password={SECRET}",
    f"postgresql://{SECRET}@x:y@h/d",
    f"postgresql://u:'{SECRET}'@h/d",
    f"mssql+pyodbc://u@h/d?odbc_connect=UID%3Du%3BPWD%3D{SECRET}",
    f"sqlite:///x.db?password={SECRET}",
    f"u:{SECRET}@h/d",
    f"postgresql:u:{SECRET}@h/d",
    f"postgresql:/u:{SECRET}@h/d",
]


@pytest.mark.parametrize("url", STORES)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_storage_that_keeps_no_study(refused, url, more):
    if (more and "127.0.0.1" in url) or "+nothing" in url:
        pytest.skip("a dry run asks no server")
    refused("storage", "tune_runner", [*SMOKE, "--storage", url, *more])


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("flag", ["--storage", "--checkpoints"])
def test_a_password_that_others_could_read(refused, url, flag):
    if flag == "--checkpoints":
        url = url.replace("postgresql+psycopg", "s3").replace("postgresql", "s3")
        url = url.replace("mysql", "s3")
    message = refused("password", "tune_runner", [*SMOKE, flag, url])
    assert SECRET not in message


UNSURE = [
    f"postgresql+psycopg://u:pa@{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:12/{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:{SECRET}:@127.0.0.1:1/d",
    f"postgresql+psycopg://u:{SECRET} x@127.0.0.1:1/d",
    f"postgresql+psycopg://u:a?{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:a#{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:'{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:a\n{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://{SECRET}@x:y@127.0.0.1:1/d",
    f"postgresql+psycopg://u:{SECRET}@127.0.0.1:port/d",
    f"postgresql+psycopg:/u:{SECRET}@127.0.0.1:1/d",
    f"postgresql:u:{SECRET}@127.0.0.1:1/d",
    f"http://u:pa@{SECRET}@127.0.0.1:1",
    f"http://u:pa/{SECRET}@127.0.0.1:1",
    f"u:{SECRET}@127.0.0.1",
    f"POSTGRESQL://u:{SECRET}@127.0.0.1:1/d",
    f"sqlite://u:{SECRET}@h/x.db",
]
SURE = [
    f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://u:x%2F{SECRET}%40@127.0.0.1:1/d",
    f"postgresql+psycopg://u@127.0.0.1:1/d?sslmode=require&password={SECRET}",
    f"postgresql+psycopg://u@127.0.0.1:1/d?sslpassword={SECRET}",
    f"mysql+pymysql://u@127.0.0.1:1/d?passwd={SECRET}",
    f"mssql+pyodbc://?odbc_connect=UID%3Du%3BPWD%3D{SECRET}",
    f"http://u:{SECRET}@127.0.0.1:1",
    f"http://127.0.0.1:1/?api_key={SECRET}",
]


@pytest.mark.parametrize("uri", UNSURE + SURE)
def test_a_password_of_the_record_is_never_told(refused, monkeypatch, uri):
    """The variable may hold one; what can be read in two ways is refused before anything starts."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    commands = [("analysis", ["clusters"]), ("diffrec", ["recommend", "--run", "clusters"])]
    if uri in UNSURE:
        commands += [("tune_runner", SMOKE), ("tune_runner", [*SMOKE, "--dry-run"])]
    for program, arguments in commands:
        assert SECRET not in refused("password", program, arguments)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert SECRET not in refused("password", "analysis", ["clusters", "--tracking-uri", uri])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("folder", "object store"),
        ("", "object store"),
        ("s3://", "s3://bucket/path or"),
        ("s4://bucket/x", "did you mean 's3'"),
        ("ftp://host/x", "s3://bucket/path or"),
        ("s3://b/p?secret_key=hunter2", "password"),
        ("s3://b/p?access_key=hunter2", "password"),
    ],
)
def test_a_store_that_keeps_no_checkpoints(refused, url, words):
    for more in ([], ["--dry-run"]):
        message = refused("store", "tune_runner", [*SMOKE, "--checkpoints", url, *more], words)
        assert SECRET not in message
