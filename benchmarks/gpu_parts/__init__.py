"""The parts of `benchmarks/gpu.py`, and what they share: the machine and the training step."""
