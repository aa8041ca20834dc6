"""What every process of ours does in one way, whichever folder its work is in: how it logs, writes files and
locks."""
