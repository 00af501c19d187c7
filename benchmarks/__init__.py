"""What asyncflask costs, beside its peers."""
