"""From files on disk to checked fastai DataLoaders."""
