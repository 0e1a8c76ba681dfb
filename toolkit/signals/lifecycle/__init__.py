"""The life of signals: their states in the ledger, what a report adds to it, rules for alerts, and their back-test."""
