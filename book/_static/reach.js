/* What scrolls sideways shows it by a fading edge (course.css), and only then is a tab
   stop. Paper is light. */
document.addEventListener("DOMContentLoaded", () => {
  const blocks = new Set();
  const look = (block) => {
    const more = block.scrollWidth - block.clientWidth;
    const scrolls = more > 1 && getComputedStyle(block).overflowX !== "visible";
    const { scrollLeft } = block;
    block.classList.toggle("more-left", scrolls && scrollLeft > 1);
    block.classList.toggle("more-right", scrolls && scrollLeft < more - 1);
    if (scrolls) block.tabIndex = 0;
    else block.removeAttribute("tabindex");
  };
  const sizes = new ResizeObserver((all) => all.forEach((one) => look(one.target)));
  const watch = (selector) => {
    for (const block of document.querySelectorAll(`article ${selector}`)) {
      blocks.add(block);
      sizes.observe(block); // calls look, too, now and when a fold opens
      block.addEventListener("scroll", () => look(block), { passive: true });
    }
  };
  watch(":is(pre, table, div.math)");
  window.MathJax?.startup?.promise?.then(() => watch("mjx-container"));
  document.fonts.addEventListener("loadingdone", () => blocks.forEach(look));

  const root = document.documentElement;
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => (root.dataset.theme = theme));
});
