"""Tables to arrays and back. Nothing here knows of torch."""
