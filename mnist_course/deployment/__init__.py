"""A trained network out in the world: a file for other programs, and a small service over HTTP.

`exporting` writes a PyTorch network as ONNX, preprocessing included; `network` runs such a file without
PyTorch. `service` answers pictures with digits, within the limits of `limits` and as `server` listens;
`drift` compares what comes with what the network was trained on, and `corrections` keeps the digits
that users put right, where they are asked to. Importing this imports none of them.
"""
