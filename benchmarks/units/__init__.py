"""What requests to DynamoDB cost and how much of a partition's limit they take, by AWS's published rules."""
