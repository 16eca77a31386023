"""What larger patches are worth in a vision transformer, on three platforms, before anything is trained or run.

pip install nnformer-costmodel
python examples/profile_vit.py
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from costmodel.integrations.torch import compare

PLATFORMS = ["rtx3090-pt2.4-amp-nhwc", "i9-10940x-pt2.4-fp32-dynamo", "epyc-*-ort*-fp32-1t"]


class Block(nn.Module):
    """Attention, then a feed-forward network."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tokens, each having seen all others."""
        batch, tokens, dim = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, dim // self.heads)
        attended = functional.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.proj(attended.transpose(1, 2).reshape(batch, tokens, dim))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021."""

    def __init__(self, patch: int, dim: int = 384, depth: int = 12, heads: int = 6, image: int = 224) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, patch, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A score for each class."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(x)).mean(1))


def main() -> None:
    """Compare patches of 16 and of 32 pixels."""
    with torch.device("meta"):
        small, large, image = VisionTransformer(patch=16), VisionTransformer(patch=32), torch.zeros(1, 3, 224, 224)
    print(compare(small, large, image, PLATFORMS))


if __name__ == "__main__":
    main()
