"""Image matting on the command line: alpha mattes and clean cutouts from photos, without a trimap."""

__version__ = "0.1.0"
