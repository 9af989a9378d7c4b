"""What ten epochs of plain SGD with learning rate 0.01 make of SimpleCNN (chapter 7).

The weights start as PyTorch draws them, because that is what the published program does.
"""

from over_seeds import main

if __name__ == "__main__":
    recipe = {"model": "simple_cnn", "initialisation": "pytorch", "optimizer": "sgd"}
    main("simple_cnn_sgd", recipe | {"learning_rate": 0.01, "batch_size": 64, "epochs": 10})
