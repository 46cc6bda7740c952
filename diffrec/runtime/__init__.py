"""Devices, memory, precision and seeds. Nothing here knows a model."""
