"""The local server: an HTTP API, and a page to look through photos and correct them."""
