"""The systems of the articles this course grew out of, each with its own recipe.

An article's optimizer, batch size and number of epochs are kept, and so is its framework. Articles 002
and 003 as they are printed have scripts of their own, which chapter 7 reads: ``simple_cnn_sgd.py`` and
``lenet5_adam.py``. Here is what article 003 describes and doesn't print, early stopping on validation
data; and for the two recipes that fall short, 002's and 004's, one change each within their own epochs.
"""

from over_seeds import main

ADAM = {"optimizer": "adam", "learning_rate": 1e-3}

RECIPES = {
    # the article's validation_split takes the last fifth as it comes; this fifth is stratified
    "000, dense_cnn": {
        "framework": "keras",
        "model": "dense_cnn",
        **ADAM,
        "batch_size": 32,
        "epochs": 10,
        "validation_share": 0.2,
    },
    "001, small_cnn": {
        "framework": "keras",
        "model": "small_cnn",
        **ADAM,
        "batch_size": 32,
        "epochs": 5,
    },
    "004, single_conv_cnn": {
        "framework": "keras",
        "model": "single_conv_cnn",
        **ADAM,
        "batch_size": 64,
        "epochs": 5,
    },
    # one change: the learning rate falls to zero along half a cosine, the default of the command line
    "004, single_conv_cnn, cosine schedule": {
        "framework": "keras",
        "model": "single_conv_cnn",
        **ADAM,
        "schedule": "cosine",
        "batch_size": 64,
        "epochs": 5,
    },
    # the loop that the article describes: stop by the validation loss, keep the best epoch's weights
    "003, lenet5, early stopping": {
        "framework": "pytorch",
        "model": "lenet5",
        **ADAM,
        "batch_size": 64,
        "epochs": 30,
        "patience": 3,
        "validation_share": 0.1,
    },
    # one change: ten times the article's learning rate, decided before any run
    "002, simple_cnn, learning rate 0.1": {
        "framework": "pytorch",
        "model": "simple_cnn",
        "initialisation": "pytorch",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "batch_size": 64,
        "epochs": 10,
    },
}

if __name__ == "__main__":
    packages = ["mnist-course", "numpy", "torch", "tensorflow", "keras"]
    main("articles", RECIPES, packages=packages, seeds=range(3))
