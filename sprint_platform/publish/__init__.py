"""What readers get: files and views of what was built."""
