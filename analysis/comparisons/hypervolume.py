"""Hypervolume of a front: the volume that it dominates, bounded by a reference point.

Source: Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms", PPSN 1998;
computed by slicing along the last objective (Knowles 2002), which is quick for the two or three
objectives of a study.
"""

from collections.abc import Sequence

Point = Sequence[float]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume that `points` dominate, all coordinates to be small.

    Args:
        points: any number, dominated ones included; those not below the reference add nothing.
        reference: upper bound of every coordinate.
    """
    inside = [tuple(p) for p in points if all(a < b for a, b in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    ordered = sorted(inside, key=lambda point: point[-1])
    ends = [*(point[-1] for point in ordered[1:]), reference[-1]]
    volume = 0.0
    for i, (point, end) in enumerate(zip(ordered, ends, strict=True)):
        if end > point[-1]:
            slice_points = [other[:-1] for other in ordered[: i + 1]]
            volume += (end - point[-1]) * hypervolume(slice_points, reference[:-1])
    return volume
