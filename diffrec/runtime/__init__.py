"""Devices, memory, precision and seeds; independent of every model."""
