"""What is measured by itself: readings, policies that are not learnt, trained ones taken apart."""
