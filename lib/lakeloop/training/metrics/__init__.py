"""How good a model is: figures with intervals from one pass over scored rows."""
