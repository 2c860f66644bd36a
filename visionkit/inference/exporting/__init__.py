"""Models in forms that other programs run: ONNX, and PyTorch's own exported programs."""
