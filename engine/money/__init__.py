"""Bookkeeping without a component around it: accounts, cost bases, marks and equity; all pure."""
