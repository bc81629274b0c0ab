"""Images: their data, their pictures, and what is hidden for in-painting."""
