"""A fake of Adyen Checkout and its standard webhooks; README.md says what is documented and what is guessed."""
