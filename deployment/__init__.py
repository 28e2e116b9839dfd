"""The components as a stack's settings ask for them."""
