"""Networks in PyTorch: the code that a checkpoint's weights are loaded into."""
