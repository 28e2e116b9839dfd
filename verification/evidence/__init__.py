"""Evidence of a verification: the facts that its JSON document has beside the verdicts, and a page made from it."""
