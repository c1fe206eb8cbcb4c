"""From files to pixels: finding image files, telling formats apart, decoding, resizing and loading them."""
