"""What the contract suite of the Gateway port needs of each vendor (docs/how-to-add-a-gateway.md)."""
