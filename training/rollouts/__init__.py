"""Walks of the pipeline and what they came to: paths, states, outcomes, recordings of replies."""
