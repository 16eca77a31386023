"""Where the time of a small BERT goes on three platforms: keyword arguments, tied weights, several results.

pip install nnformer-costmodel
python examples/profile_bert.py
"""

from __future__ import annotations

import torch
from torch import nn

from costmodel.integrations.torch import profile

PLATFORMS = ["rtx3090-pt2.4-amp-nhwc", "i9-10940x-pt2.4-fp32-dynamo", "epyc-*-ort*-fp32-1t"]


class SmallBert(nn.Module):
    """Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019; four layers of width 512."""

    def __init__(self, words: int = 30522, dim: int = 512, layers: int = 4) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(words, dim), nn.Embedding(512, dim)
        self.norm = nn.LayerNorm(dim)
        layer = nn.TransformerEncoderLayer(dim, dim // 64, 4 * dim, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.pooler = nn.Linear(dim, dim)
        self.vocabulary = nn.Linear(dim, words)
        self.vocabulary.weight = self.words.weight

    def forward(self, input_ids: torch.Tensor, *, is_padding: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of each word in each place, and a vector for the whole text."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = self.norm(self.words(input_ids) + self.positions(places))
        hidden = self.encoder(hidden, src_key_padding_mask=is_padding)
        return {"words": self.vocabulary(hidden), "text": torch.tanh(self.pooler(hidden[:, 0]))}


def main() -> None:
    """Print the profile, then the modules that take most of the time on the last platform."""
    with torch.device("meta"):
        module = SmallBert()
        words, is_padding = torch.zeros(1, 128, dtype=torch.int64), torch.zeros(1, 128, dtype=torch.bool)
    profiled = profile(module, words, PLATFORMS, kwargs={"is_padding": is_padding})
    print(profiled)

    platform = profiled.platforms[-1]
    print(f"Of {profiled.predictions[platform].latency_ms:.1f} ms on {platform}:")
    for part in profiled.by_module().children:
        print(f"  {part.path:<12} {profiled.share(part.work, platform):4.0%}  {part.work.params:>12,} parameters")


if __name__ == "__main__":
    main()
