"""Header buttons that lead to the student notebook, and no scripts of others."""

from typing import Any

from sphinx.application import Sphinx

from . import site

#: The branch that the site is published from; Colab opens notebooks from it.
SITE_BRANCH = "gh-pages"


def adapt(app: Sphinx, pagename: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Change one page's buttons and scripts, before it is written."""
    # thebe (live code) is off, but its scripts would be loaded and log an error
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", script))
        and "thebe" not in getattr(script, "attributes", {}).get("body", "")
    ]
    is_chapter = pagename in site.chapters(app)
    owner_and_name = site.repository(app).removeprefix("https://github.com/")
    path = site.notebook(pagename)
    colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/"
    buttons = context.get("header_buttons", [])
    for button in _flat(buttons):
        if button.get("text") == "Colab" and is_chapter:
            button["url"] = f"{colab}{SITE_BRANCH}/{path}"
        if button.get("label") == "download-source-button" and is_chapter:
            button["url"] = context["pathto"](path, resource=True)
            button["text"] = ".ipynb (exercises unsolved)"


def _flat(buttons: list[dict]) -> list[dict]:
    return [
        b for button in buttons for b in (button, *_flat(button.get("buttons", [])))
    ]
