"""The ground floor: one way to read, check, colour and write. Every room may import it; it imports none, and no torch."""
