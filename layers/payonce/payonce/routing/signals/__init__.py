"""What is known of the gateways: events of claims and answers, kept as signals and counted per second."""
