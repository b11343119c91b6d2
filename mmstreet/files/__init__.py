"""What all rooms share: one way to read, check, colour and write. Every room may import it; it imports none, and no torch."""
