"""Copy's pages."""
