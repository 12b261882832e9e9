"""Dagster assets by step: landing, warehouse, delivery."""
