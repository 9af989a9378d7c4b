"""The one error a user of this package can cause."""


class InputError(ValueError):
    """Input from outside (a file, an option, a name) cannot be used.

    Its message is one line: what came, what was expected, what to do. The command line prints it and
    exits with status 2; everything else that is raised is a bug of ours.
    """
