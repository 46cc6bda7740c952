"""Does the reproduction study's learned temporal weighting (LTW) help, as it was run?

T- and LT-DiffRec, each without and with W as the study's code had it in the commits that made its
numbers: linear histories and W, uniform at the start, raw, at the network's rate. The two cells of
a base differ in W alone. Its tables 4 to 7 compare the same two.
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="learned_steps",
    question="Does the study's learned temporal weighting improve T-DiffRec and LT-DiffRec?",
    domains={"variant": Choice("T-DiffRec", "T-DiffRec+LTW", "LT-DiffRec", "LT-DiffRec+LTW")},
    replicates=5,
    control={"variant": "T-DiffRec"},
)
