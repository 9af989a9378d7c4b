"""What ten epochs of plain SGD with learning rate 0.01 make of SimpleCNN (chapter 7)."""

from over_seeds import main

if __name__ == "__main__":
    recipe = {"model": "simple_cnn", "optimizer": "sgd", "learning_rate": 0.01, "batch_size": 64}
    main("simple_cnn_sgd", recipe | {"epochs": 10})
