"""The distribution as a user gets it: a wheelhouse, environments with one extra each, and the page that shows them."""
