"""What a provider charges, held against what the ledger says: `frontdesk reconcile`."""
