/* The reading mode: how much of a chapter stands unfolded. Without this script all of it
   is folded, and each fold opens by itself. */
document.addEventListener("DOMContentLoaded", () => {
  const MODES = {
    story: [],
    code: ["details.hide"],
    everything: [
      "details.hide",
      "details.proof",
      ".solution > details",
      ".source > details",
    ],
  };
  const article = document.querySelector("article");
  const header = document.querySelector(".article-header-buttons");
  const folds = () => article.querySelectorAll(MODES.everything.join());
  if (!header || !article || !folds().length) return;

  const select = document.createElement("select");
  select.className = "reading-mode";
  select.title = "How much to unfold";
  select.setAttribute("aria-label", "Reading mode");
  for (const mode of Object.keys(MODES)) {
    select.add(new Option(mode[0].toUpperCase() + mode.slice(1), mode));
  }
  const unfold = () => {
    const open = MODES[select.value].join();
    for (const fold of folds()) fold.open = open !== "" && fold.matches(open);
  };
  try {
    const last = localStorage.getItem("reading-mode");
    if (last in MODES) select.value = last;
  } catch {} // no storage: every page begins as a story
  if (select.value !== "story") unfold();
  select.addEventListener("change", () => {
    unfold();
    try {
      localStorage.setItem("reading-mode", select.value);
    } catch {}
  });
  header.prepend(select);
});
