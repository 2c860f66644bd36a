"""What writes the generated pages of the documentation: commands, recipes, settings, guides and tutorials.

`write_pages` in `pages.py` is called by `docs/hook.py` when MkDocs builds the site.
"""
