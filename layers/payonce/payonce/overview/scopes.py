"""Whose counts they are: a merchant's, or those of all."""

EVERYBODY = "*"  # the whole platform; no merchant's id has this character
