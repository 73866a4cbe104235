"""The console as people meet it and as attackers do: real Chromium and raw HTTP against the deployed stack.

Nothing here knows how the console is made. What is looked for is what a page says to a person or to a screen reader.
"""
