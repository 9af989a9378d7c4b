"""The networks in PyTorch: channels first, float32, logits out."""
