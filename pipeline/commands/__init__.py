"""The command `naturewatch`: what a person types, what it says on the terminal, and how it ends."""
