/* The living pages. A place on a page, `<div class="live" data-toy="NAME">`, shows a
   picture until it comes into view; then the toy of that name takes the picture's place.
   A toy is a function of a `Toy`: it adds controls, pictures and numbers, and says how
   they are drawn. It is drawn again when something changes, at most once a frame. */
var Live = Live || {};

/** What Python exports: live/data/*.js, made by book/live_data.py. */
Live.data = Live.data || {};

/** Whether the reader wants nothing to move by itself. */
Live.isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What controls and pictures are added to.
 *  @typedef {{controls: HTMLElement, stage: HTMLElement, numbers: HTMLElement,
 *    change: () => void}} Parts */

Live.core = (() => {
  /** @type {Record<string, (toy: Toy) => void>} */
  const toys = {};
  /** The toys that have started, by the element they stand in. @type {Map<Element, Toy>} */
  const started = new Map();

  /** One toy on the page. */
  class Toy {
    /** @param {HTMLElement} place */
    constructor(place) {
      this.place = place;
      this.controls = Live.controls.element("div", "live-controls");
      this.stage = Live.controls.element("div", "live-stage");
      this.numbers = Live.controls.element("dl", "live-numbers");
      this.verdict = Live.controls.element("p", "live-verdict");
      this.verdict.setAttribute("role", "status");
      this.isVisible = false;
      this.isDirty = true;
      this.frame = 0;
      this.talk = 0;
      this.sentence = "";
      this.isWarning = false;
      /** @type {() => void} */
      this.paint = () => {};
      /** @type {((seconds: number) => boolean) | null} */
      this.step = null;
      this.last = 0;
    }

    /** Says how everything is drawn. @param {() => void} paint */
    draw(paint) {
      this.paint = paint;
      this.change();
    }

    /** Something has changed: draw in the next frame, or when it is visible again. */
    change() {
      this.isDirty = true;
      this.ask();
    }

    /** Runs `step(seconds since the last frame)` before each frame while in view, until it
     *  returns false. Whoever calls it respects `Live.isStill()`.
     *  @param {(seconds: number) => boolean} step */
    animate(step) {
      this.step = step;
      this.last = 0;
      this.change();
    }

    /** Ends `animate`. */
    stop() {
      this.step = null;
    }

    /** A sentence below the toy. It changes at most every 150 ms.
     *  @param {string} sentence @param {boolean} isWarning */
    say(sentence, isWarning = false) {
      if (this.sentence === sentence) return;
      const isFirst = !this.sentence;
      this.sentence = sentence;
      this.isWarning = isWarning;
      if (isFirst) this.write();
      else this.talk ||= setTimeout(() => this.write(), 150);
    }

    /** Shows the sentence that was said last. */
    write() {
      this.talk = 0;
      this.verdict.classList.toggle("live-warning", this.isWarning);
      Live.controls.typeset(this.verdict, this.sentence);
    }

    ask() {
      if (this.isVisible && !this.frame && (this.isDirty || this.step)) {
        this.frame = requestAnimationFrame((now) => this.tick(now));
      }
    }

    /** @param {number} now in milliseconds */
    tick(now) {
      this.frame = 0;
      if (this.step) {
        const seconds = this.last ? Math.min((now - this.last) / 1000, 0.1) : 0;
        this.last = now;
        if (!this.step(seconds)) this.step = null;
        this.isDirty = true;
      }
      if (this.isDirty) {
        this.isDirty = false;
        this.paint();
      }
      this.ask();
    }

    /** @param {boolean} isVisible */
    show(isVisible) {
      this.isVisible = isVisible;
      this.last = 0;
      this.ask();
    }
  }

  /** Puts the toy in the place of its picture. @param {HTMLElement} place */
  const start = (place) => {
    const toy = new Toy(place);
    toys[place.dataset.toy ?? ""](toy);
    place.replaceChildren(toy.controls, toy.stage, toy.numbers, toy.verdict);
    place.classList.add("live-started");
    const sizes = new ResizeObserver(() => toy.change());
    sizes.observe(toy.stage);
    const theme = new MutationObserver(() => toy.change());
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    window.addEventListener("beforeprint", () => toy.paint()); // paper is light
    return toy;
  };

  document.addEventListener("DOMContentLoaded", () => {
    const near = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const place = /** @type {HTMLElement} */ (target);
          if (isIntersecting && !started.has(place)) {
            started.set(place, start(place));
          }
          started.get(place)?.show(isIntersecting);
        }
      },
      { rootMargin: "200px 0px" },
    );
    for (const place of document.querySelectorAll(".live[data-toy]"))
      near.observe(place);
  });

  return { Toy, toys, started };
})();

/** Adds a toy. @param {string} name
 *  @param {(toy: InstanceType<typeof Live.core.Toy>) => void} build */
Live.toy = (name, build) => {
  Live.core.toys[name] = build;
};
