"""The continuous job on Flink."""
