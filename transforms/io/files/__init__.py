"""Files wherever they are: local, hdfs://, gs://."""
