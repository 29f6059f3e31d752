"""The state of increments: intents, manifests, commits, and who may write them."""
