"""A checkpoint as files that other programs run: ONNX, PyTorch, TensorFlow, JAX. Each is proven equal before it is there (`export.parity`)."""
