"""Use cases, one file per noun: what people and devices can do."""
