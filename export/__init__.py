"""Trained network to engine: the ONNX file, its manifest, its checks."""
