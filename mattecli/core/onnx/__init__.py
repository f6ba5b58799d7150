"""ONNX both ways: our networks for other programs, and other networks for ours."""
