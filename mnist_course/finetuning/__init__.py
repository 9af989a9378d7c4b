"""Fine-tuning in PyTorch: from a network that has learned one task to one that solves another."""

METHODS = ("linear", "full", "lpft", "gradual", "layerwise", "lora", "adapter", "bias", "prompt")
"""The head alone; everything; the head, then everything; layer by layer from the head; everything, at
rates that fall towards the input; low-rank changes; bottlenecks behind layers; biases; the picture's
border."""
