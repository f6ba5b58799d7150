"""The mathematics of matting, in NumPy and OpenCV."""
