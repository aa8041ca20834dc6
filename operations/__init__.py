"""What an operator sees of every process of ours, whichever folder its work is in."""
