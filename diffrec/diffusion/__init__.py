"""The Gaussian diffusion: noise schedules, forward and reverse process, timestep samplers."""
