"""What a study cost, what pruning did, which parameters mattered, how weights moved.

Begin with `cost`. No figure and no page here.
"""
