"""What holds for the repository itself: its setup, its layers, its small rules."""
