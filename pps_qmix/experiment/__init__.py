"""Many runs of one file: methods compared over maps and seeds."""
