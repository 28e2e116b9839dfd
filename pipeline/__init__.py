"""What runs in pull requests, after a merge and on a schedule: the workflows of .github/ only wire these commands."""
