"""The style of the bibliography: author (year). Title. Venue."""

from pybtex.plugin import register_plugin
from pybtex.style.formatting import toplevel
from pybtex.style.formatting.unsrt import Style
from pybtex.style.template import field, join, names, optional_field, sentence, tag


class AuthorYear(Style):
    """Titles with the capitals of the ``.bib`` file, venues without numbers."""

    default_name_style = "lastfirst"
    default_sorting_style = "author_year_title"
    default_label_style = "alpha"  # unique across several lists

    def __init__(self, **options) -> None:
        super().__init__(**options | {"abbreviate_names": True})

    def get_misc_template(self, entry):
        return self._template(entry, optional_field("howpublished"))

    def get_inproceedings_template(self, entry):
        return self._template(entry, tag("em")[field("booktitle")])

    def get_article_template(self, entry):
        return self._template(entry, tag("em")[field("journal")])

    def _template(self, entry, venue):
        authors = names("author", sep=", ", sep2=" and ", last_sep=", and ")
        head = join[authors, " (", field("year"), ")."]
        title = sentence(capfirst=False)[field("title")]
        link = self.format_web_refs(entry)
        return toplevel[head, title, sentence(capfirst=False)[venue], link]


#: Known to ``{bibliography}`` as soon as this is imported.
register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
