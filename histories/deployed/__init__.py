"""One payment for each request of the deployed functions to a service, and for each fault that it can meet."""
