"""What is kept of every part: a row in a database, and pictures of those that matter."""
