"""What learners are held against, and at which operating point."""
