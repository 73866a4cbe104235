"""The signals of the gateways: events of claims and answers, stored in batches and counted per second."""
