"""Sprint Platform: a live-service game in a box, and the analytics platform that runs it."""
