"""Batches for the zoo, of any seed and size."""

import torch


def ends(seed, size=0):
    """(B, T, lengths): the longest row is T, the others are shorter."""
    g = torch.Generator().manual_seed(1000 + seed)
    B, T = [(4, 9), (3, 12), (6, 8), (2, 11), (5, 15)][size % 5]
    n = torch.randint(4, T, (B,), generator=g)
    n[int(torch.randint(0, B, (1,), generator=g))] = T
    if (n == T).all():
        n[0] = T - 3
    return B, T, n


def floats(seed, size, F, zero=True):
    """x `[B, T, F]`, padded with zeros (or with whatever), and its lengths."""
    B, T, n = ends(seed, size)
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, F, generator=g)
    if zero:
        x = x * (torch.arange(T)[None] < n[:, None])[..., None]
    return x, n


def tokens(seed, size, vocabulary=20):
    """tokens `[B, T]`, 0 is padding, and their lengths."""
    B, T, n = ends(seed, size)
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(1, vocabulary, (B, T), generator=g)
    return x * (torch.arange(T)[None] < n[:, None]), n


def real(n, T):
    return torch.arange(T)[None] < n[:, None]
