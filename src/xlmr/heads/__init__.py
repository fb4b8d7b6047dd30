"""What a head computes from hidden states, in NumPy."""
