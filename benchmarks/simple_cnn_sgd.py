"""What ten epochs of plain SGD with learning rate 0.01 make of SimpleCNN (chapter 7).

The weights start as PyTorch draws them, because that is what the published program does.
"""

from over_seeds import main

RECIPE = {
    "framework": "pytorch",
    "model": "simple_cnn",
    "initialisation": "pytorch",
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "batch_size": 64,
    "epochs": 10,
}

if __name__ == "__main__":
    main("simple_cnn_sgd", {"SimpleCNN, SGD": RECIPE}, packages=["mnist-course", "numpy", "torch"])
