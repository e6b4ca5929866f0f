/* Axes and curves on canvas, sharp on every screen. Colors come from the page:
   text from the canvas's own color, lines from live.css (--live-1 …). */
// needs: live controls
Live.plot = (() => {
  const { element, pieces } = Live.controls;
  const FONT = "12px system-ui, sans-serif";
  const LOW = "9.5px system-ui, sans-serif";
  const MARGIN = { left: 46, right: 14, top: 10, bottom: 34 };

  /** Round numbers between two ends. @param {number} low @param {number} high
   *  @param {number} most */
  const ticks = (low, high, most) => {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) {
      found.push(Number((k * step).toPrecision(12)));
    }
    return found;
  };

  /** @param {number} value */
  const tickText = (value) => String(value).replace("-", "−");

  /** A plot with two axes. Each drawing begins with `begin`. */
  class Plot {
    /** @param {Parts} toy @param {string} label what the picture shows, for screen readers
     *  @param {{height?: number, into?: HTMLElement, xLabel?: string, yLabel?: string}} options */
    constructor(
      toy,
      label,
      { height = 220, into = toy.stage, xLabel = "", yLabel = "" } = {},
    ) {
      this.canvas = element("canvas", "live-plot");
      this.canvas.style.height = `${height}px`;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", label);
      this.labels = [xLabel, yLabel];
      into.append(this.canvas);
      this.g = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
      this.x = [0, 1];
      this.y = [0, 1];
      // asking the page for them takes long: `begin` does, once a drawing
      this.width = 0;
      this.height = 0;
    }

    /** Pixels of a value. @param {number} x */
    atX(x) {
      const inner = this.width - MARGIN.left - MARGIN.right;
      return MARGIN.left + ((x - this.x[0]) / (this.x[1] - this.x[0])) * inner;
    }

    /** @param {number} y */
    atY(y) {
      const inner = this.height - MARGIN.top - MARGIN.bottom;
      return (
        this.height -
        MARGIN.bottom -
        ((y - this.y[0]) / (this.y[1] - this.y[0])) * inner
      );
    }

    /** The value under a pointer. @param {PointerEvent} event */
    valueAt(event) {
      const inner = this.width - MARGIN.left - MARGIN.right;
      const share = (event.offsetX - MARGIN.left) / inner;
      return this.x[0] + share * (this.x[1] - this.x[0]);
    }

    /** A color of live.css, or the text's. @param {string} name */
    color(name) {
      const style = getComputedStyle(this.canvas);
      return name ? style.getPropertyValue(`--live-${name}`) : style.color;
    }

    /** Clears the canvas and draws the axes.
     *  @param {number[]} x both ends @param {number[]} y both ends
     *  @param {{yTicks?: boolean}} options */
    begin(x, y, { yTicks = true } = {}) {
      [this.x, this.y] = [x, y];
      const { g, canvas } = this;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      Object.assign(this, { width, height });
      const ratio = devicePixelRatio || 1;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      g.scale(ratio, ratio);
      const bottom = height - MARGIN.bottom;
      const ink = this.color("");
      g.lineWidth = 1;
      for (const value of ticks(x[0], x[1], Math.max(2, width / 80))) {
        this.line([this.atX(value), MARGIN.top, this.atX(value), bottom], ink, 0.15);
        this.text(tickText(value), this.atX(value), bottom + 14, "center");
      }
      for (const value of yTicks ? ticks(y[0], y[1], height / 45) : []) {
        this.line(
          [MARGIN.left, this.atY(value), width - MARGIN.right, this.atY(value)],
          ink,
          0.15,
        );
        this.text(tickText(value), MARGIN.left - 6, this.atY(value) + 4, "right");
      }
      this.line([MARGIN.left, bottom, width - MARGIN.right, bottom], ink, 0.6);
      this.text(this.labels[0], width - MARGIN.right, height - 4, "right");
      g.save();
      g.rotate(-Math.PI / 2);
      this.text(this.labels[1], -MARGIN.top, 11, "right");
      g.restore();
    }

    /** @param {number[]} ends in pixels @param {string} color @param {number} alpha */
    line([x0, y0, x1, y1], color, alpha = 1) {
      const { g } = this;
      g.globalAlpha = alpha;
      g.strokeStyle = color;
      g.beginPath();
      g.moveTo(x0, y0);
      g.lineTo(x1, y1);
      g.stroke();
      g.globalAlpha = 1;
    }

    /** A text with subscripts, at a place in pixels. @param {string} text
     *  @param {number} x @param {number} y @param {"left" | "center" | "right"} side
     *  @param {string} color */
    text(text, x, y, side = "left", color = "") {
      const { g } = this;
      const fonts = [FONT, LOW];
      const parts = pieces(text);
      const widths = parts.map((part, i) => {
        g.font = fonts[i % 2];
        return g.measureText(part).width;
      });
      const all = widths.reduce((sum, w) => sum + w, 0);
      let at = x - { left: 0, center: all / 2, right: all }[side];
      g.fillStyle = this.color(color);
      parts.forEach((part, i) => {
        g.font = fonts[i % 2];
        g.fillText(part, at, y + (i % 2 ? 3 : 0));
        at += widths[i];
      });
    }

    /** A curve through points; what leaves the frame is cut off.
     *  @param {ArrayLike<number>} xs @param {ArrayLike<number>} ys @param {string} color
     *  @param {{dash?: number[], width?: number, fill?: boolean, alpha?: number}} options */
    curve(xs, ys, color, { dash = [], width = 2, fill = false, alpha = 1 } = {}) {
      const { g } = this;
      const inner = [
        this.width - MARGIN.left - MARGIN.right,
        this.height - MARGIN.top - MARGIN.bottom,
      ];
      g.save();
      g.beginPath();
      g.rect(MARGIN.left, MARGIN.top - 2, inner[0], inner[1] + 4);
      g.clip();
      g.beginPath();
      for (let i = 0; i < xs.length; i++) g.lineTo(this.atX(xs[i]), this.atY(ys[i]));
      Object.assign(g, {
        strokeStyle: this.color(color),
        lineWidth: width,
        globalAlpha: alpha,
      });
      g.setLineDash(dash);
      g.stroke();
      if (fill) {
        g.lineTo(this.atX(xs[xs.length - 1]), this.atY(0));
        g.lineTo(this.atX(xs[0]), this.atY(0));
        Object.assign(g, { fillStyle: this.color(color), globalAlpha: 0.2 });
        g.fill();
      }
      g.restore();
    }

    /** A knob on the x axis that can be dragged. @param {number} x @param {string} color
     *  @param {string} name */
    knob(x, color, name = "") {
      const { g } = this;
      g.fillStyle = this.color(color);
      g.beginPath();
      g.arc(this.atX(x), this.height - MARGIN.bottom, 7, 0, 2 * Math.PI);
      g.fill();
      this.text(name, this.atX(x), this.height - 4, "center", color);
    }
  }

  /** What the lines of a plot mean. @param {Parts} toy
   *  @param {[color: string, text: string, dash?: number[]][]} entries */
  const legend = (toy, entries) => {
    const list = element("p", "live-legend");
    for (const [color, text, dash = []] of entries) {
      const entry = element("span");
      const words = element("span");
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sample.setAttribute("viewBox", "0 0 32 8");
      sample.setAttribute("aria-hidden", "true");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
      stroke.setAttribute("d", "M0 4H32");
      stroke.setAttribute("stroke-dasharray", dash.join());
      stroke.style.stroke = `var(--live-${color})`;
      sample.append(stroke);
      Live.controls.typeset(words, text);
      entry.append(sample, words);
      list.append(entry);
    }
    toy.stage.append(list);
  };

  /** Lets sliders of x values be dragged on a plot, the nearest first.
   *  @param {Plot} plot @param {{value: number}[]} sliders */
  const drag = (plot, sliders) => {
    const { canvas } = plot;
    canvas.classList.add("live-drag");
    /** @type {{value: number} | undefined} */
    let held;
    canvas.addEventListener("pointerdown", (event) => {
      const x = plot.valueAt(event);
      const away = sliders.map((slider) => Math.abs(slider.value - x));
      held = sliders[away.indexOf(Math.min(...away))];
      // a finger may want to scroll the page: it has to move sideways first
      if (event.pointerType !== "touch") held.value = x;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (held) held.value = plot.valueAt(event);
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, () => (held = undefined));
    }
  };

  return { Plot, legend, drag };
})();
