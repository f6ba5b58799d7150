"""Photos of products for a shop: each cut out and centered on a white square, as JPEG.

    python examples/shop_catalogue.py PHOTOS SHOP [options of `matte predict`]

Photos that cannot be read are named on standard error, the others are done, and the exit code is 1.
"""

import sys

from mattecli.cli.app import main

SQUARE = ["--canvas", "1200x1200", "--pad", "8%", "--background", "white", "--format", "jpg"]

if __name__ == "__main__":
    sys.argv[1:] = ["predict", *sys.argv[1:3], *SQUARE, *sys.argv[3:]]
    main()
