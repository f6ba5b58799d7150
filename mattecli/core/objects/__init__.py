"""Object stores: addresses such as ``s3://bucket/folder`` as paths, whole objects, listings."""
