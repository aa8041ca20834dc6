"""What every process of ours does in one way, whichever folder its work is in: how it logs, writes files, locks and
ends with its parent."""
