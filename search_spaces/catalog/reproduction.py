"""Does a source's configuration give the source's numbers?

The four variants with their preset of the dataset, five seeds, nothing changed. `--preset
published` (the default) has the released checkpoints' configurations and is compared with the
paper; `--preset report` has what the reproduction study ran, and is compared with its report. A
study is of one dataset and one source: run it once for each, and put the reports side by side
(`--against`).
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="reproduction",
    question="Do the four variants, as their source configured them, give its results?",
    domains={"variant": Choice("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec")},
    replicates=5,
    control={"variant": "DiffRec"},
)
