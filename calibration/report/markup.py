"""HTML and SVG elements, with every text in them escaped."""

from __future__ import annotations

from html import escape

__all__ = ["Markup", "element"]


class Markup(str):
    """Text that is markup already and must not be escaped again."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float) -> Markup:
    """``<tag attributes>children</tag>``.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'

    Args:
        tag: Name of an element that may have children.
        children: Texts, which are escaped, or :class:`Markup`, which is not.
        attributes: Their names without trailing underscores, and with dashes in place of others; values are escaped,
            numbers shortened to what a screen can show.
    """
    opening = "".join(f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"' for name, value in attributes.items())
    content = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{tag}{opening}>{content}</{tag}>")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.6g}"
