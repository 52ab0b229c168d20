"""Bundles onto boxes, and boxes to PLCs and MCUs."""
