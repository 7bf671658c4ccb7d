"""What pages are made of: house style, figures, charts, tables, and the words beside them."""
