"""Model families, the zoo and the bundle format; imports nothing else of lineguard."""
