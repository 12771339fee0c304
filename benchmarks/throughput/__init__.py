"""How fast the real service answers under different ways of making its model calls."""
