"""How fast a recipe trains on this machine, what limits it, and the same beside stock fastai."""
