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
