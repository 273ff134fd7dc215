"""The networks in PyTorch, and what trains and judges them."""
