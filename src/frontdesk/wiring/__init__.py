"""What `app` puts together, a family a file."""
