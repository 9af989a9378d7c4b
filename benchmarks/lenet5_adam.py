"""What five epochs of Adam make of LeNet-5 in PyTorch (chapter 7)."""

from over_seeds import main

if __name__ == "__main__":
    recipe = {"model": "lenet5", "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64}
    main("lenet5_adam", recipe | {"epochs": 5})
