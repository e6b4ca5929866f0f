/* The filter of the concordance. Without it, everything is visible. The script runs
   before MathJax, so that formulas can be found by their LaTeX. */
(() => {
  const form = document.querySelector("form.concordance-filter");
  const rows = [...document.querySelectorAll("section.concordance li")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const hasNote = rows.map((row) => !!row.querySelector('a[href*="reading_notes"]'));
  const folds = [...document.querySelectorAll("section.concordance details")];
  const places = [...document.querySelectorAll("section.concordance")];
  const documents = new Set(places.map((place) => place.parentElement));

  const filter = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = words.length > 0 || form.elements.notes.checked;
    rows.forEach((row, i) => {
      const fits = words.every((word) => texts[i].includes(word));
      row.hidden = !fits || (form.elements.notes.checked && !hasNote[i]);
    });
    const found = (block) => block.querySelector("li:not([hidden])");
    folds.forEach((fold) => {
      fold.hidden = !found(fold);
      fold.open = active;
    });
    [...places, ...documents].forEach((part) => (part.hidden = !found(part)));
    const left = rows.filter((row) => !row.hidden).length;
    form.elements.count.value = active ? `${left} of ${rows.length} lines` : "";
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;

  // a link may lead to a line that is folded or filtered away
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.closest("section.concordance")) return;
    if (target.closest("[hidden]")) {
      form.reset();
      filter();
    }
    const fold = target.closest("details");
    if (fold) fold.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();
  // formulas move what is below them
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(reveal));
})();
