"""Image matting on the command line: alpha mattes and clean cutouts, without a trimap."""

__version__ = "0.1.0"
