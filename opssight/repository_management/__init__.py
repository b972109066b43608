"""The multi-provider API by its original paths and shapes, over the same services as everything else.

What the original calls a connection is one repository with its credential: here that is a repository of
the inventory.
"""
