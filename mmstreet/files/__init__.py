"""What every part of the package needs: one way to read, check, colour and write. It imports nothing of the package, and no torch."""
