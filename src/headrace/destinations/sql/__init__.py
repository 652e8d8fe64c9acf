"""What all SQL destinations share: sessions, tables, the ledger, merge strategies, system tables."""
