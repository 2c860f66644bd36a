"""Looking for what is wrong with a data set: files, labels, masks, duplicates and leaks."""
