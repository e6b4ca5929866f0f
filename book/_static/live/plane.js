/* Points in the plane on canvas: the region of each component of a mixture, data, particles
   and arrows. Where nothing is decided yet, the regions fade. */
// needs: live controls oracle
Live.plane = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {InstanceType<typeof Live.oracle.GaussianMixture>} Mixture */
  const REACH = 2; // at least this far in both directions
  const CELL = 6; // pixels of a region's smallest piece

  /** The color of component k: neighbors of a ring are far apart. @param {number} k */
  const hue = (k) => (k * 137.5 + 30) % 360;

  class Plane {
    /** @param {Parts} toy @param {string} label what it shows, for screen readers
     *  @param {number} height */
    constructor(toy, label, height = 400) {
      this.canvas = Live.controls.element("canvas", "live-plot");
      this.canvas.style.height = `${height}px`;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", label);
      this.key = Live.controls.element("p", "live-legend live-key");
      toy.stage.append(this.canvas, this.key);
      this.g = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
      this.cells = document.createElement("canvas");
      this.drawn = ""; // which regions `cells` shows
      this.unit = 1;
      this.middle = [0, 0];
    }

    /** A color of live.css, or the text's. @param {string} name */
    color(name) {
      const style = getComputedStyle(this.canvas);
      return name ? style.getPropertyValue(`--live-${name}`) : style.color;
    }

    /** Clears the canvas. */
    begin() {
      const { canvas, g } = this;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const ratio = devicePixelRatio || 1;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      g.scale(ratio, ratio);
      this.unit = Math.min(width, height) / (2 * REACH);
      this.middle = [width / 2, height / 2];
    }

    /** Pixels of a place. @param {number} x @param {number} y */
    at(x, y) {
      return [this.middle[0] + this.unit * x, this.middle[1] - this.unit * y];
    }

    /** The place under a pointer. @param {MouseEvent} event */
    placeOf({ offsetX, offsetY }) {
      const [x, y] = [offsetX - this.middle[0], this.middle[1] - offsetY];
      return [x / this.unit, y / this.unit];
    }

    /** Which component is the likeliest at each x_t, paler where it is less sure.
     *  @param {Mixture} mixture @param {Schedule} schedule @param {number} t ≥ 1
     *  @param {string} name tells mixtures and schedules apart */
    regions(mixture, schedule, t, name) {
      const columns = Math.ceil((2 * this.middle[0]) / CELL);
      const rows = Math.ceil((2 * this.middle[1]) / CELL);
      const isDark = document.documentElement.dataset.theme === "dark";
      const wanted = [name, t, columns, rows, isDark].join();
      if (wanted !== this.drawn) {
        this.drawn = wanted;
        Object.assign(this.cells, { width: columns, height: rows });
        this.fill(mixture, schedule, t, isDark ? 72 : 52);
      }
      this.g.drawImage(this.cells, 0, 0, columns * CELL, rows * CELL);
    }

    /** @param {Mixture} mixture @param {Schedule} schedule @param {number} t
     *  @param {number} most the opacity where all is decided */
    fill(mixture, schedule, t, most) {
      const { width, height } = this.cells;
      const places = new Float64Array(2 * width * height);
      for (let i = 0; i < width * height; i++) {
        const [column, row] = [i % width, Math.floor(i / width)];
        places[2 * i] = ((column + 0.5) * CELL - this.middle[0]) / this.unit;
        places[2 * i + 1] = (this.middle[1] - (row + 0.5) * CELL) / this.unit;
      }
      const g = /** @type {CanvasRenderingContext2D} */ (this.cells.getContext("2d"));
      const image = g.createImageData(width, height);
      const colors = mixture.weights.map((_, k) => rgb(hue(k)));
      mixture.each(schedule.alphaBar[t], places, (i, logJoint, largest) => {
        let sum = 0;
        for (const one of logJoint) {
          if (one > largest - 7) sum += Math.exp(one - largest); // less can't be seen
        }
        const color = colors[logJoint.indexOf(largest)];
        image.data.set([...color, 8 + most / sum], 4 * i);
      });
      g.putImageData(image, 0, 0);
    }

    /** Dots at points. @param {ArrayLike<number>} points @param {string} color
     *  @param {{radius?: number, alpha?: number, open?: boolean}} options */
    dots(points, color, { radius = 2.2, alpha = 1, open = false } = {}) {
      const { g } = this;
      g.globalAlpha = alpha;
      g.fillStyle = g.strokeStyle = this.color(color);
      g.lineWidth = 1.5;
      g.beginPath();
      for (let i = 0; i < points.length; i += 2) {
        const [x, y] = this.at(points[i], points[i + 1]);
        g.moveTo(x + radius, y);
        g.arc(x, y, radius, 0, 2 * Math.PI);
      }
      if (open) g.stroke();
      else g.fill();
      g.globalAlpha = 1;
    }

    /** Arrows between points. @param {ArrayLike<number>} from @param {ArrayLike<number>} to
     *  @param {string} color @param {{width?: number, alpha?: number, head?: number}} options */
    arrows(from, to, color, { width = 1, alpha = 0.7, head = 3 + 2 * width } = {}) {
      const { g } = this;
      g.globalAlpha = alpha;
      g.strokeStyle = this.color(color);
      g.lineWidth = width;
      g.beginPath();
      for (let i = 0; i < from.length; i += 2) {
        const [x0, y0] = this.at(from[i], from[i + 1]);
        const [x1, y1] = this.at(to[i], to[i + 1]);
        const size = Math.min(head, Math.hypot(x1 - x0, y1 - y0) / 2);
        const angle = Math.atan2(y1 - y0, x1 - x0);
        g.moveTo(x0, y0);
        g.lineTo(x1, y1);
        for (const side of size ? [2.6, -2.6] : []) {
          g.moveTo(x1, y1);
          g.lineTo(
            x1 + size * Math.cos(angle + side),
            y1 + size * Math.sin(angle + side),
          );
        }
      }
      g.stroke();
      g.globalAlpha = 1;
    }

    /** A cross where the next point would go. @param {number} x @param {number} y */
    cross(x, y) {
      const [left, top] = this.at(x, y);
      const { g } = this;
      g.strokeStyle = this.color("");
      g.lineWidth = 2;
      g.beginPath();
      for (const [dx, dy] of [
        [7, 0],
        [0, 7],
      ]) {
        g.moveTo(left - dx, top - dy);
        g.lineTo(left + dx, top + dy);
      }
      g.stroke();
    }
  }

  /** A light, strong color. @param {number} angle of the color circle */
  const rgb = (angle) =>
    [0, 8, 4].map((n) => {
      const k = (n + angle / 30) % 12;
      return 255 * (0.55 - 0.4 * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
    });

  return { Plane };
})();
