"""SIMULATION: the scheduler's decisions against modelled backbones, in virtual time.

The core is the one that serves; the backbones are arithmetic. What comes out compares ways to
schedule under a stated model, and says nothing of a machine's speed.
"""
