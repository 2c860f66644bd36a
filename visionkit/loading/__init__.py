"""Batches from the cache, cut, warped and lit on plain bytes by the numbers that fastai's transforms draw."""
