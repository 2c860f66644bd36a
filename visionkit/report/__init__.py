"""A run as one HTML file: to look at, and to send to somebody."""
