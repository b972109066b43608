"""Pages of connections, repositories, deliveries and webhooks."""
