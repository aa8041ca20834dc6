"""A whole federation for hours, and what each of its processes takes of the machine."""
