"""What the forms do: each calls an existing use case, keyed by the form, so that a double submit acts once."""
