"""What property tests of several rooms draw."""

import numpy as np
from hypothesis import strategies as st

from diffrec.data import Interactions


@st.composite
def small_interactions(draw) -> Interactions:
    """Interactions of up to 8 users with up to 12 items; some users may have none."""
    num_users, num_items = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    cells = st.integers(0, num_users * num_items - 1)
    chosen = np.array(draw(st.lists(cells, unique=True)), dtype=int)
    pairs = np.stack([chosen // num_items, chosen % num_items], axis=1)
    return Interactions.from_pairs(pairs, num_users, num_items)


_WORDS = st.one_of(
    st.sampled_from(
        ("kmeans", "0023", "seed1", "L-DiffRec·kmeans·2·seed1", "😀", "漢字", "é" * 30)
    ),
    st.sampled_from(("👨‍👩‍👧", "❤️", "\x1b[31m", "a·" * 50, "x" * 130, "漢" * 70, "नमस्ते")),
    st.text(min_size=1, max_size=20),
)

ODD_TEXTS = st.lists(_WORDS, min_size=1, max_size=12).map(" ".join)
"""Names and sentences of words long and short, wide, joined, combined, or with control codes."""
