"""The console's list of operations is the API's."""

from payonce.console.operations import KEYED_OPERATIONS
from payonce.entrypoints import routes


def test_the_operations_are_those_of_the_routes() -> None:
    """Fails when a route that takes a key is added: its keys would not be found on the console."""
    assert set(KEYED_OPERATIONS) == set(routes.KEYED_OPERATIONS)
