"""Graph-signal diffusion for collaborative filtering, in the manner of GiffCF (SIGIR 2024).

`config` loads no torch, so a search space that names it stays light; `model` has the network.
"""
