/* Previews: what a link to an equation, figure, term or reference leads to, shown while
   the mouse or the focus is on the link. Escape closes. Touch screens have none. */
document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector("article");
  if (!article || !matchMedia("(hover: hover)").matches) return;
  const TARGETS = "div.math, figure, dt, div.citation";
  const kept = [...(document.querySelector("#previews")?.content.children ?? [])];

  /** A copy of what the link leads to, or undefined. */
  const target = (link) => {
    const href = link.getAttribute("href");
    const away = kept.find((one) => one.dataset.href === href);
    if (away) return away.cloneNode(true);
    const id = href.startsWith("#") && CSS.escape(decodeURIComponent(href.slice(1)));
    const here = id && [...document.querySelectorAll(`#${id}`)].find((e) => e.matches(TARGETS));
    if (!here) return undefined;
    const copy = document.createElement("div");
    copy.append(here.cloneNode(true));
    if (here.matches("dt")) copy.append(here.nextElementSibling.cloneNode(true));
    return copy;
  };

  const box = document.createElement("div");
  box.id = "preview";
  box.className = "preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  let current, timer;

  const hide = () => {
    clearTimeout(timer);
    box.hidden = true;
    current?.removeAttribute("aria-describedby");
    current = undefined;
  };

  /** Below the link if there is room, else above. */
  const place = (link) => {
    const at = link.getClientRects()[0] ?? link.getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const below = at.bottom + 6 + height <= innerHeight;
    box.style.left = `${Math.max(8, Math.min(at.left, room))}px`;
    box.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - 6 - height)}px`;
  };

  const show = async (link) => {
    if (link === current) return;
    const content = target(link);
    hide();
    if (!content) return;
    for (const it of content.querySelectorAll(".headerlink, .copybtn")) it.remove();
    for (const it of content.querySelectorAll("a")) it.replaceWith(...it.childNodes);
    for (const it of content.querySelectorAll("[id]")) it.removeAttribute("id");
    for (const it of content.querySelectorAll("[tabindex]")) it.removeAttribute("tabindex");
    link.removeAttribute("title"); // the browser's own preview, of references
    box.replaceChildren(content);
    box.hidden = false;
    current = link;
    link.setAttribute("aria-describedby", box.id);
    place(link);
    await window.MathJax?.typesetPromise?.([content]); // what comes from another page
    if (current === link) place(link);
  };

  const later = (what, delay) => {
    clearTimeout(timer);
    timer = setTimeout(what, delay);
  };
  for (const link of article.querySelectorAll('a.internal[href*="#"]')) {
    if (!target(link)) continue;
    link.classList.add("has-preview");
    link.addEventListener("mouseenter", () => later(() => show(link), 200));
    link.addEventListener("mouseleave", () => later(hide, 200));
    link.addEventListener("focus", () => link.matches(":focus-visible") && show(link));
    link.addEventListener("blur", hide);
  }
  box.addEventListener("mouseenter", () => clearTimeout(timer));
  box.addEventListener("mouseleave", () => later(hide, 200));
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("scroll", () => current && place(current), { passive: true });
  article.after(box);
});
