"""The idempotency contract inside a program's own server: ASGI, WSGI, Django, Lambda handlers, and consumers.

docs/middlewares.md explains how to use them, and their limits. Each module imports only what it needs.
"""
