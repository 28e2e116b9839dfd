"""What the end-to-end tests share, one subject a module."""
