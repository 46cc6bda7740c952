"""Do the published configurations give the published numbers?

The four variants with their published configuration of the dataset, five seeds, nothing changed. A
study is of one dataset: run it once for each, and put the reports side by side (`--against`).
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="reproduction",
    question="Do the published configurations of the four variants give the published results?",
    domains={"variant": Choice("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec")},
    replicates=5,
    control={"variant": "DiffRec"},
)
