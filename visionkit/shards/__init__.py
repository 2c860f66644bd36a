"""Data too large for one disk: images in tar files ("shards"), here or in an object store, read in place."""
