"""Deployment: turns settings and sites into components, and into the stack's outputs."""
