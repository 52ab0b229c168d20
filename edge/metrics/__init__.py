"""What Prometheus is told: counted as verdicts come, collected when somebody asks."""
