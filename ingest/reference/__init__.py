"""Reference data: prices and other published facts that are not a company's own."""
