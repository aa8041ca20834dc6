"""Programs of the checkout: which build of PyTorch a machine needs, and which platforms have all wheels."""
