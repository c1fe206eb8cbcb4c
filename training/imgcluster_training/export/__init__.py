"""Export of encoders and decoders to ONNX."""
