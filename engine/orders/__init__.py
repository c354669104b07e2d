"""Orders: what they are called, the life they lead, and the ones a venue has open."""
