"""Light pages: only the parts of MathJax and the icons that the pages need."""

import re
from pathlib import Path

from fontTools import subset
from sphinx.application import Sphinx
from sphinx.config import Config

#: A rule of Font Awesome's style sheet that gives names of an icon its character.
_RULE = re.compile(r'((?:\.fa-[\w-]+:+before,?)+)\{content:"\\([0-9a-f]+)"\}')


def slim_mathjax(_: Sphinx, config: Config) -> None:
    """Load MathJax in parts, without the menu: half of what all of it weighs.

    The menu would also make every formula a tab stop. Assistive MathML stays.
    """
    parts = ["input/tex", "output/chtml", "a11y/assistive-mml"]
    config.mathjax_path = "mathjax/startup.js"  # sphinx-mathjax-offline's folder
    config.mathjax3_config = {"loader": {"load": parts}}


def shrink_icons(app: Sphinx, exception: Exception | None) -> None:
    """Cut Font Awesome's fonts and style sheet down to the icons of this site.

    The theme also draws the icons with a script of 1.5 MB. It is not needed.
    """
    if exception or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    names = set(re.findall(r"fa-[\w-]+", _text(Path(app.outdir).rglob("*.html"))))
    names |= set(re.findall(r"fa-[\w-]+", _text(static.glob("scripts/*.js"))))
    # style sheets name characters: `content: "\f0c9"`
    sheets = [*static.glob("*.css"), *static.glob("styles/*.css")]
    codes = set(re.findall(r'"\\(f[0-9a-f]{3})"', _text(sheets)))
    for folder in static.glob("vendor/fontawesome/*"):
        sheet = folder / "css" / "all.min.css"
        rules = sheet.read_text(encoding="utf-8")
        for selectors, code in _RULE.findall(rules):
            if not names.isdisjoint(re.findall(r"fa-[\w-]+", selectors)):
                codes.add(code)
        rules = _RULE.sub(lambda rule: rule[0] if rule[2] in codes else "", rules)
        sheet.write_text(rules, encoding="utf-8")
        (folder / "js" / "all.min.js").write_text("/* fonts do it */\n")
        for font in folder.glob("webfonts/*.woff2"):
            _keep(font, {int(code, 16) for code in codes})


def _text(files) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def _keep(path: Path, characters: set[int]) -> None:
    """Leave only these characters in a font."""
    options = subset.Options(flavor="woff2")
    font = subset.load_font(path, options)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=characters)
    cut.subset(font)
    subset.save_font(font, path, options)
