"""What a payment asks before its claim: the control document, the operator's override, and the router over both."""
