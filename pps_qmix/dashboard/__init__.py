"""A local page that follows runs while they play: it reads their directories and changes nothing in them."""
