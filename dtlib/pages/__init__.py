"""Tables and pictures of single pages of the book; nothing else of ``dtlib`` knows them."""
