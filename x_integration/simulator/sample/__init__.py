"""Sample data written for this project: a fictitious coffee roaster and the people around it."""
