"""Adapters of AWS services other than the database."""
