"""The host pipeline that makes a trained model smaller and proves it."""
