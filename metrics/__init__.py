"""What bq-sync measures of itself, for Prometheus: docs/metrics.md explains each figure."""
