"""What dies, fails or crowds, and whether anything is lost by it: `make chaos`."""
