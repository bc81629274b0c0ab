"""`kerasar gallery`: what the lectures and papers show, made by this library in minutes.

Each file of `exhibits` makes one exhibit: its docstring is the text on the page, what is below it
the Python that is shown with the pictures. `catalog` has their order, `studio` trains models and
keeps them, `page` writes one HTML file that needs nothing outside of it.
"""
