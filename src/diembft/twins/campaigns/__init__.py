"""Many scenarios: campaigns over workers, shrinking, accounts, the kill matrix, and use in test suites."""
