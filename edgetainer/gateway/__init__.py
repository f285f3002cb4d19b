"""The public door: TLS by host name, and containers by subdomain."""
