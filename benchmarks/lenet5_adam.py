"""What five epochs of Adam make of LeNet-5 in PyTorch (chapter 7)."""

from over_seeds import main

RECIPE = {
    "framework": "pytorch",
    "model": "lenet5",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 5,
}

if __name__ == "__main__":
    main("lenet5_adam", {"LeNet-5, Adam": RECIPE}, packages=["mnist-course", "numpy", "torch"])
