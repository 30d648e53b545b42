"""Notes about the open transaction of a connection."""


class Note:
    """A note about the open transaction of a connection, stored among its on-commit functions.

    Django removes an on-commit function when its savepoint is rolled back and when the transaction ends. But after
    `set_autocommit(False)` it keeps the functions of each committed transaction.
    """

    def __call__(self) -> None:
        """Do nothing: only the entry in `run_on_commit` matters."""
