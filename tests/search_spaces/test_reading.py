"""Spaces as JSON and YAML: the same space, the same checks, and nothing is ever run."""

import json
import random
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec.errors import UserError
from search_spaces import (
    SPACES,
    Choice,
    Condition,
    FractionOf,
    IntUniform,
    LogUniform,
    Objective,
    ScaledFrom,
    SearchSpace,
    Uniform,
    get_space,
)
from search_spaces.domains import frozen, sampled_domain


def choices(values, **sizes):
    return st.lists(values, min_size=1, max_size=3, unique=True, **sizes).map(lambda v: Choice(*v))


def bounds(low, high):
    """Ordered pairs whose ends lie in the two ranges."""
    return st.tuples(st.floats(*low), st.floats(*high))


WIDTHS = st.lists(st.integers(1, 1000), min_size=1, max_size=3)
RATES = st.one_of(
    choices(st.floats(1e-6, 1e-1)),
    bounds((1e-6, 1e-4), (1e-3, 1e-1)).map(lambda v: LogUniform(*v)),
    bounds((1e-6, 1e-4), (1e-3, 1e-1)).map(lambda v: Uniform(*v)),
)
STEPS = st.one_of(
    st.tuples(st.integers(2, 5), st.integers(6, 60), st.booleans()).map(lambda v: IntUniform(*v)),
    choices(st.integers(2, 60)),
)
VALUES = {
    "training.learning_rate": RATES,
    "denoiser.dropout": bounds((0, 0.3), (0.4, 0.9)).map(lambda v: Uniform(*v)),
    "denoiser.hidden_dims": st.one_of(choices(WIDTHS.map(tuple)), WIDTHS.map(Choice)),
    "diffusion.num_steps": STEPS,
    "diffusion.stochastic_sampling": choices(st.booleans()),
}
FACTORS = st.one_of(
    bounds((0.1, 1), (2, 9)).map(lambda v: Uniform(*v)),
    bounds((0.1, 1), (2, 9)).map(lambda v: LogUniform(*v)),
    st.tuples(st.integers(1, 2), st.integers(3, 9), st.booleans()).map(lambda v: IntUniform(*v)),
    choices(st.floats(0.1, 9)),
)
FRACTIONS = st.one_of(
    bounds((0, 0.4), (0.5, 1)).map(lambda v: Uniform(*v)), choices(st.floats(0, 1))
)


def allowed_of(domain):
    """What a condition on a parameter of this domain may allow: some values, or a domain."""
    if isinstance(domain, Choice):
        some = st.lists(st.sampled_from(domain.values), min_size=1, unique=True).map(tuple)
        return st.one_of(some, some.map(lambda v: Choice(*v)))
    kinds = {IntUniform: (IntUniform,), Uniform: (Uniform,), LogUniform: (LogUniform, Uniform)}
    return st.sampled_from([kind(domain.low, domain.high) for kind in kinds[type(domain)]])


@st.composite
def conditions_of(draw, domains):
    """Conditions on some of the domains, each on a parameter before it."""
    conditions = {}
    for child in ("denoiser.hidden_dims", "diffusion.stochastic_sampling"):
        parents = [p for p in domains if p != child and p in VALUES and p not in conditions]
        if child in domains and parents and draw(st.booleans()):
            parent = draw(st.sampled_from(sorted(parents)))
            if parent not in ("denoiser.hidden_dims", "diffusion.stochastic_sampling"):
                conditions[child] = Condition(parent, draw(allowed_of(domains[parent])))
    return conditions


@st.composite
def spaces(draw):
    """A space of one or two variants, of every kind of domain, condition and search."""
    paths = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, unique=True))
    domains = {path: draw(VALUES[path]) for path in paths}
    conditions = draw(conditions_of(domains))
    if "diffusion.num_steps" in domains and draw(st.booleans()):
        fraction = FractionOf("diffusion.num_steps", draw(FRACTIONS))
        domains["diffusion.num_inference_noise_steps"] = fraction
    if "training.learning_rate" in domains and draw(st.booleans()):
        domains["training.weight_decay"] = ScaledFrom("training.learning_rate", draw(FACTORS))
    variant = draw(st.sampled_from(["DiffRec", None]))
    if variant is None:
        domains = {"variant": Choice("DiffRec", "L-DiffRec"), **domains}
        if draw(st.booleans()):
            conditions[paths[0]] = Condition("variant", ("L-DiffRec",))
    search = draw(
        st.sampled_from([{"strategy": "tpe", "trials": 9}, {"strategy": "random", "trials": 5}])
    )
    if all(sampled_domain(domain).grid() is not None for domain in domains.values()):
        search = {"strategy": "grid"}
    space = SearchSpace(
        name=draw(st.from_regex("[a-z0-9_]{1,20}", fullmatch=True)),
        question=draw(st.sampled_from(["Is it the same?", "yes: no # ünïcode 'quoted'"])),
        variant=variant,
        domains=domains,
        conditions=conditions,
        overrides=draw(st.sampled_from([{}, {"training.batch_size": 50}])),
        objective=draw(st.sampled_from([Objective(), Objective("valid/ndcg@10")])),
        replicates=draw(st.integers(1, 9)),
        pruner=draw(st.sampled_from(["median", "none"])),
        **search,
    )
    if space.strategy == "grid" and draw(st.booleans()):
        return replace(space, control=draw(st.sampled_from(space.cells()[:20])))
    start = space.strategy != "grid" and draw(st.booleans())
    return replace(space, start_published=start)


@settings(max_examples=50)
@given(spaces())
def test_a_space_survives_the_round_trip_through_json_and_yaml(space):
    values = space.to_dict()
    for again in (values, json.loads(json.dumps(values)), yaml.safe_load(yaml.safe_dump(values))):
        read = SearchSpace.from_dict(again)
        assert read == space
        assert read.to_dict() == values
    draw = random.Random(0)
    point = space.build_point(lambda _, domain: draw.choice(domain.corners()))
    assert read.resolve(point, "embedded") == space.resolve(point, "embedded")


@settings(max_examples=15)
@given(spaces(), st.sampled_from(["json", "yaml", "yml"]))
def test_a_file_of_a_space_is_that_space(tmp_path_factory, space, ending):
    values, path = space.to_dict(), tmp_path_factory.mktemp("file") / f"own.{ending}"
    text = json.dumps(values) if ending == "json" else yaml.safe_dump(values, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    assert get_space(str(path)) == space


def test_lists_and_tuples_are_the_same_value():
    fields = {"name": "x", "question": "?", "variant": "DiffRec"}
    path = "denoiser.hidden_dims"
    as_lists, as_tuples = (
        SearchSpace(
            **fields,
            domains={path: Choice(kind([300]), kind([200, 600])), "training.batch_size": Choice(9)},
            conditions={"training.batch_size": Condition(path, (kind([300]),))},
            control={path: kind([300]), "training.batch_size": 9},
        )
        for kind in (list, tuple)
    )
    assert as_lists == as_tuples == SearchSpace.from_dict(as_tuples.to_dict())
    assert frozen(as_lists.cells()) == frozen(as_tuples.cells())
    assert len(as_lists.cells()) == 2
    for space in (as_lists, as_tuples):
        assert [200, 600] in space.domains[path]
        assert (200, 600) in space.domains[path]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_every_shipped_space_can_be_a_file(name, ending, tmp_path):
    values = SPACES[name].to_dict()
    text = json.dumps(values) if ending == "json" else yaml.safe_dump(values, sort_keys=False)
    (tmp_path / f"own.{ending}").write_text(text)
    read = get_space(str(tmp_path / f"own.{ending}"))
    assert read.to_dict() == values
    if read.strategy == "grid":
        assert frozen(read.cells()) == frozen(SPACES[name].cells())


BY_HAND = """
name: by_hand
question: Does no dropout help?   # a comment
domains:
  variant: [DiffRec, L-DiffRec]
  training.learning_rate: [1e-3, 0.01]
  denoiser.dropout: {kind: uniform, low: 0, high: 0.5}
strategy: tpe
trials: 5
"""


def test_yaml_is_read_as_people_mean_it(tmp_path):
    (tmp_path / "hand.yaml").write_text(BY_HAND)
    space = get_space(str(tmp_path / "hand.yaml"))
    assert space.domains["training.learning_rate"] == Choice(1e-3, 0.01)
    assert space.domains["denoiser.dropout"] == Uniform(0, 0.5)


HEAD = "name: x\nquestion: q?\nvariant: DiffRec\n"
DOMAIN = "domains: {diffusion.num_steps: [5]}\n"
FAULTS = {
    "a tag that runs code": ("!!python/object/apply:os.system ['touch ran']", "YAML"),
    "a tag in a value": (HEAD + DOMAIN + "pruner: !!python/name:os.system", "YAML"),
    "an alias": (HEAD + DOMAIN + "overrides: {a: &b [1], c: *b}", "an alias"),
    "a key twice": (HEAD + "name: y\n" + DOMAIN, "'name' comes twice"),
    "two documents": (HEAD + DOMAIN + "---\n" + HEAD, "YAML"),
    "a list": ("- 1", "must be an object"),
    "nothing": ("", "must be an object"),
    "broken": ("{", "YAML"),
    "a deep one": ("[" * 20_000, "YAML"),
    "no domains": (HEAD, "needs the field 'domains'"),
    "an unknown field": (HEAD + DOMAIN + "replicate: 3", "did you mean 'replicates'"),
    "an unknown kind": (HEAD + "domains: {diffusion.num_steps: {kind: choise}}", "'choice'"),
    "a bound too few": (HEAD + "domains: {diffusion.num_steps: {kind: uniform, low: 1}}", "`high`"),
    "a key too many": (
        HEAD + "domains: {diffusion.num_steps: {kind: choice, values: [1], valves: 2}}",
        "no key 'valves'",
    ),
    "an unknown path": (HEAD + "domains: {diffusion.num_step: [5]}", "diffusion.num_steps"),
    "a value of another type": (HEAD + "domains: {diffusion.num_steps: [five]}", "type int"),
    "no as a text": (HEAD + DOMAIN + "start_published: no", "True or False"),
    "a value as a domain": (HEAD + "domains: {diffusion.num_steps: 5}", "must be a list"),
    "a class of a file": (
        "name: x\nquestion: q?\nvariant: '/tmp:evil:Config'\n" + DOMAIN,
        "No variant named",
    ),
    "a condition without parent": (
        HEAD + DOMAIN + "conditions: {diffusion.num_steps: {allowed: [1]}}",
        "needs `parent`",
    ),
    "an infinite bound": (
        HEAD + "domains: {training.learning_rate: {kind: uniform, low: 0.1, high: .inf}}",
        "needs numbers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_one_sentence_and_nothing_is_run(fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, rule = FAULTS[fault]
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=rule) as caught:
        get_space("bad.yaml")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"name": "x", "name": "y"}', "'name' comes twice"),
        ('{"name": NaN}', "NaN is no number of JSON"),
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ("3", "must be an object"),
    ],
)
def test_faulty_json_is_one_sentence(text, rule, tmp_path):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UserError, match=rule):
        get_space(str(tmp_path / "bad.json"))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"nowhere\.yaml must be a search space"):
        get_space("nowhere.yaml")
