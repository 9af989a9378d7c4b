"""Fine-tuning in PyTorch: from a network that has learned one task to one that solves another."""
