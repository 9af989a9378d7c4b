"""What five epochs of Adam make of LeNet-5 in PyTorch (chapter 7)."""

from over_seeds import main

if __name__ == "__main__":
    recipe = {"model": "lenet5", "initialisation": "package", "optimizer": "adam"}
    main("lenet5_adam", recipe | {"learning_rate": 1e-3, "batch_size": 64, "epochs": 5})
