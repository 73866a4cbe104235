"""What is made from openapi.json."""
