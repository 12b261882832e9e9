"""The way in: source files and APIs become typed, validated Delta tables. No Dagster, no dbt, no prices."""
