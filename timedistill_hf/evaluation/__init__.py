"""Metrics, controls and reports."""
