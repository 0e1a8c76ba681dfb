"""The life of backlog items: what people said of them, what plans said, and what a report adds to the ledger."""
