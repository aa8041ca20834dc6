"""What an agent knows: networks, mixers, episode buffer, TD learning, exploration. Pure PyTorch."""
