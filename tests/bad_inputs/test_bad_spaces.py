"""Search spaces with a fault in any of their fields, from a file of the user's own."""

import pytest

FILE = """
import math
from search_spaces import *
from search_spaces.space import *
fields = dict(name="own", question="Which?", variant="DiffRec",
              domains={{"training.learning_rate": Choice(1e-3, 1e-4)}})
fields |= dict({changes})
SPACE = SearchSpace(**{{k: v for k, v in fields.items() if v is not ...}})
"""
RATE, STEPS = '"training.learning_rate"', '"diffusion.num_steps"'
MANY = ", ".join(f'"{path}": Choice(*range(1, 12))' for path in (
    "diffusion.num_steps",
    "training.max_epochs",
    "training.patience",
    "training.eval_every",
    "training.batch_size",
    "denoiser.timestep_embedding_dim",
))  # fmt: skip
FIELDS = [
    ("name=3", "a-z, 0-9"),
    ("name=''", "a-z, 0-9"),
    ("name='x' * 300", "100 at most"),
    ("name=...", "cannot be run"),
    ("question=3", "`question`"),
    ("question='  '", "`question`"),
    ("question='a\\nb'", "`question`"),
    ("question=...", "cannot be run"),
    ("domains=[1]", "`domains`"),
    ("domains=None", "`domains`"),
    ("domains='x'", "`domains`"),
    ("domains={}", "searches nothing"),
    ("domains={3: Choice(1)}", "dotted paths"),
    (f"domains={{{RATE}: 0.1}}", "needs a domain"),
    (f"domains={{{RATE}: [0.1, 0.2]}}", "needs a domain"),
    (f"domains={{{RATE}: (0.1, 0.2)}}", "needs a domain"),
    (f"domains={{{RATE}: Choice}}", "needs a domain"),
    (f"domains={{{RATE}: None}}", "needs a domain"),
    (f"domains={{{RATE}: Choice('0.1')}}", "must be of type float"),
    (f"domains={{{RATE}: Choice(True)}}", "must be of type float"),
    (f"domains={{{RATE}: Choice(None)}}", "must be of type float"),
    (f"domains={{{RATE}: Choice(math.nan)}}", "finite"),
    (f"domains={{{RATE}: Choice(math.inf)}}", "finite"),
    (f"domains={{{RATE}: Choice(0.1, 0.1)}}", "distinct"),
    (f"domains={{{RATE}: Choice()}}", "at least one"),
    (f"domains={{{RATE}: Choice({{1}})}}", "takes texts, numbers"),
    (f"domains={{{RATE}: Choice(lambda: 1)}}", "takes texts, numbers"),
    (f"domains={{{RATE}: Choice(1j)}}", "takes texts, numbers"),
    (f"domains={{{RATE}: Choice(b'x')}}", "takes texts, numbers"),
    (f"domains={{{RATE}: Choice(10**400)}}", "finite"),
    (f"domains={{{RATE}: Choice(*range(10**6))}}", "at most 10,000"),
    (f"domains={{{RATE}: Uniform('a', 'b')}}", "needs numbers"),
    (f"domains={{{RATE}: Uniform(None, 1)}}", "needs numbers"),
    (f"domains={{{RATE}: Uniform(0.1, math.nan)}}", "finite bounds"),
    (f"domains={{{RATE}: Uniform(2, 1)}}", "low <= high"),
    (f"domains={{{RATE}: LogUniform(0, 1)}}", "low > 0"),
    (f"domains={{{RATE}: LogUniform('1', 2)}}", "needs numbers"),
    (f"domains={{{RATE}: LogUniform(1e-5, 1e-2)}}", "finite domains"),
    (f"domains={{{STEPS}: IntUniform(1.5, 3)}}", "whole bounds"),
    (f"domains={{{STEPS}: IntUniform('1', 3)}}", "needs numbers"),
    (f"domains={{{STEPS}: IntUniform(1, 2 * 10**9)}}", "100,000"),
    (f"domains={{{STEPS}: Choice(2_000_000_000)}}", "100,000"),
    (f"domains={{{STEPS}: Choice(10**30)}}", "at most"),
    ('domains={"denoiser.hidden_dims": Choice([2_000_000_000])}', "1,048,576"),
    ('domains={"denoiser.hidden_dims": Choice(["a"])}', "must be of type int"),
    ('domains={"denoiser.hidden_dims": Choice([[1]])}', "must be of type int"),
    ('domains={"denoiser.hidden_dims": Choice([1] * 1000)}', "at most 64 layers"),
    ('domains={"denoiser.timestep_embedding_dim": Choice(2**40)}', "at most"),
    (f"domains={{{MANY}}}", "100,000 cells"),
    (f"domains={{{STEPS}: ScaledFrom('training.batch_size', 3)}}", "domain of numbers"),
    (f"domains={{{STEPS}: ScaledFrom(3, Choice(1))}}", "path of a parameter"),
    (f"domains={{{STEPS}: FractionOf('training.batch_size', Choice('a'))}}", "domain of numbers"),
    (f"domains={{{STEPS}: FractionOf('training.batch_size', Choice(2))}}", "between 0 and 1"),
    (
        f"domains={{{STEPS}: FractionOf('diffusion.beta_schedule', Choice(0.5)), "
        "'diffusion.beta_schedule': Choice('linear')}",
        "must be a number",
    ),
    ("variant=3", "`variant`"),
    ("variant=''", "No variant"),
    ("variant='DifRec'", "did you mean 'DiffRec'"),
    ("variant=['DiffRec']", "`variant`"),
    ("variant=None", "either `variant`"),
    ("variant=None, domains={'variant': Uniform(0, 1)}", "by a Choice of names"),
    ("variant=None, domains={'variant': Choice(3)}", "No variant"),
    ("conditions=[1]", "`conditions`"),
    (f"conditions={{{RATE}: 'variant'}}", "needs a Condition"),
    (f"conditions={{{RATE}: Condition(3, (1,))}}", "path of a parameter"),
    (f"conditions={{{RATE}: Condition({STEPS}, 5)}}", "tuple of values"),
    (f"conditions={{{RATE}: Condition({STEPS}, 'abc')}}", "tuple of values"),
    (f"conditions={{{RATE}: Condition({STEPS}, ())}}", "tuple of values"),
    (
        f"domains={{{RATE}: Choice(0.1), {STEPS}: Choice(5)}}, "
        f"conditions={{{RATE}: Condition({STEPS}, (7,))}}",
        "must allow a value",
    ),
    ("overrides=[1]", "`overrides`"),
    (f"overrides={{{STEPS}: '5'}}", "must be of type int"),
    (f"overrides={{{STEPS}: None}}", "must be of type int"),
    (f"overrides={{{STEPS}: Choice(5)}}", "must be of type int"),
    ("overrides={'training.weight_decay': math.nan}", "finite"),
    ("overrides={3: 5}", "dotted paths"),
    ("objective='valid/recall@20'", "`objective`"),
    ("objective=None", "`objective`"),
    ("objective=Objective('valid/ndcg@15')", "did you mean 'valid/ndcg@10'"),
    ("objective=Objective('valid/loss')", "validation metric"),
    ("objective=Objective('recall@20')", "did you mean 'valid/recall@20'"),
    ("objective=Objective('test/recall@20')", "validation metric"),
    ("objective=Objective(3)", "validation metric"),
    ("objective=Objective(direction='max')", "'maximize' or 'minimize'"),
    ("objective=Objective(direction='minimize')", "more is better"),
    ("objective=Objective('valid/gini@20', 'maximize')", "less is better"),
    ("objective=Objective('valid/coverage@10', 'minimize')", "more is better"),
    ("objective=Objective('valid/coverage@50')", "did you mean 'valid/coverage@"),
    ("objective=Objective('coverage@20')", "did you mean 'valid/coverage@20'"),
    ("objectives=Objective()", "`objectives`"),
    ("objectives=(Objective(),)", "two or three different metrics"),
    ("objectives=(Objective(), Objective())", "two or three different metrics"),
    ("objectives=('valid/recall@20', 'valid/coverage@20')", "must be Objectives"),
    ("objectives=[Objective(), Objective('valid/gini@20')]", "`objectives`"),
    (
        "objectives=tuple(map(Objective, ('valid/recall@10', 'valid/recall@20', 'valid/ndcg@20', "
        "'valid/mrr@20')))",
        "two or three",
    ),
    (
        "objectives=(Objective(), Objective('valid/gini@20')), objective=Objective('valid/mrr@10')",
        "beside `objectives`",
    ),
    ("objectives=(Objective(), Objective('valid/gini@20')), pruner='median'", "cannot be used"),
    ("constraint=3", "`constraint`"),
    ("constraint='recall'", "has the form"),
    ("constraint='valid/recall@20 within 1 % of the best'", "which is its objective"),
    ("constraint='valid/recal@20 within 1 % of the best'", "did you mean"),
    ("constraint='valid/recall@10 within 1 % of the best', pruner='hyperband'", "cannot be used"),
    ("replicates=0", "replicates >= 1"),
    ("replicates='3'", "`replicates`"),
    ("replicates=2.5", "`replicates`"),
    ("replicates=True", "`replicates`"),
    ("replicates=None", "`replicates`"),
    ("replicates=10**9", "100,000"),
    ("strategy='gird'", "did you mean 'grid'"),
    ("strategy=None", "grid, random, tpe"),
    ("strategy=['grid']", "grid, random, tpe"),
    ("strategy='tpe'", "trials >= 1"),
    ("strategy='tpe', trials=0", "trials >= 1"),
    ("strategy='tpe', trials='9'", "`trials`"),
    ("strategy='tpe', trials=True", "`trials`"),
    ("strategy='tpe', trials=10**12", "100,000"),
    ("pruner='medain'", "did you mean 'median'"),
    ("pruner=None", "No pruner named None"),
    ("pruner=3", "No pruner named 3"),
    ("start_published='yes'", "`start_published`"),
    ("start_published=1", "`start_published`"),
    ("equal_share=1", "`equal_share`"),
    ("equal_share=True", "needs a sampler"),
    ("control=0.1", "`control`"),
    ("control={'seed': 1}", "does not search"),
    (f"control={{{RATE}: 0.5}}", "one of its cells"),
    (f"control={{{RATE}: '0.001'}}", "one of its cells"),
    ("sampler='tpe'", "cannot be run"),
]
FILES = [
    ("", "must define SPACE"),
    ("SPACE = 3", "has a int"),
    ("SPACE = ", "SyntaxError"),
    ("import nowhere_to_be_found", "ModuleNotFoundError"),
    ("raise SystemExit(0)", "cannot be run (SystemExit"),
    ("import sys; sys.exit()", "cannot be run (SystemExit"),
    ("1 / 0", "ZeroDivisionError"),
    ("def f(): return f()\nf()", "RecursionError"),
    ("raise RuntimeError('a\\nb')", "RuntimeError: a"),
    ("\udc80", "cannot be run"),
    ("\0", "cannot be run"),
]


@pytest.mark.parametrize(("changes", "words"), FIELDS)
def test_a_field_of_another_type_or_value(refused, workdir, changes, words):
    (workdir / "own.py").write_text(FILE.format(changes=changes))
    refused("search space", "tune_runner", ["--space", "own.py", "--dry-run"], words)


def test_a_diversity_objective_needs_item_embeddings(refused, workdir):
    (workdir / "own.py").write_text(FILE.format(changes="objective=Objective('valid/ild@20')"))
    for more in ([], ["--dry-run"]):
        refused("search space", "tune_runner", ["--space", "own.py", *more], "item embeddings")


@pytest.mark.parametrize(("text", "words"), FILES)
def test_a_file_that_is_no_space(refused, workdir, text, words):
    (workdir / "own.py").write_bytes(text.encode(errors="surrogateescape"))
    refused("search space", "tune_runner", ["--space", "own.py", "--dry-run"], words)


def test_the_file_itself_is_sound(workdir, capsys):
    """The cases differ from it by their fault alone."""
    from tune_runner.cli import main

    (workdir / "own.py").write_text(FILE.format(changes=""))
    assert main(["--space", "own.py", "--dry-run"]) == 0
