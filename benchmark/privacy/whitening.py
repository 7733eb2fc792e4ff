"""The metric in which an attacker compares vectors: that of what single records' messages vary in."""

import torch
from torch import Tensor

SHRINKAGE = 0.05
"""The unit matrix's share in the covariance, in mean eigenvalues."""


class Whitening:
    """The inverse of a covariance, shrunk towards the unit matrix, of which only a few inner products are ever needed.

    rows: [n, m], centred vectors that the covariance S is of; products are those of S^-1. With the Woodbury identity
    they need the n x n matrix of the rows' products alone, in float64: what the rows span is divided away.
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows.double()
        n, m = rows.shape
        self._ridge = float(SHRINKAGE * self._rows.square().sum() / (n * m)) or 1.0
        gram = self._rows @ self._rows.T
        gram.diagonal().add_(n * self._ridge)
        self._factor = torch.linalg.cholesky(gram)

    def along(self, vectors: Tensor) -> Tensor:
        """Return plain products [p, n] of vectors [p, m] with the rows: most of the work, and the same each time."""
        return vectors.double() @ self._rows.T

    def products(self, left: Tensor, right: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return <l, r> in this metric for all rows of left [p, m] and right [q, m]: [p, q] float64.

        seen: left along the rows, if that is known
        """
        left, right = left.double(), right.double()
        spanned = torch.cholesky_solve(self._rows @ right.T, self._factor)
        return (left @ right.T - (self.along(left) if seen is None else seen) @ spanned) / self._ridge

    def norms(self, vectors: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return the length of each row [p] in this metric. seen: vectors along the rows, if that is known"""
        vectors = vectors.double()
        seen = self.along(vectors) if seen is None else seen
        spanned = (seen * torch.cholesky_solve(seen.T, self._factor).T).sum(1)
        return ((vectors.square().sum(1) - spanned) / self._ridge).clamp_min(0).sqrt()

    def without(self, vector: Tensor, directions: Tensor) -> Tensor:
        """Return a vector [m] less its projection, in this metric, onto these directions [r, m]."""
        lengths = self.norms(directions)
        directions = directions[lengths > 0].double()
        if not len(directions):
            return vector.double()
        along = self.products(directions, vector[None])
        inner = self.products(directions, directions)
        return vector.double() - (torch.linalg.lstsq(inner, along).solution.T @ directions)[0]
