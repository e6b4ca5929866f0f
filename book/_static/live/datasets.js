/* The data of the toys in the plane: a ring of Gaussians, moons as a finite set of points,
   or points that the reader puts there, by pointer or with two sliders and a button. */
// needs: live controls oracle metrics plane data/oracle
Live.datasets = (() => {
  const { GaussianMixture } = Live.oracle;
  /** @typedef {InstanceType<typeof GaussianMixture>} Mixture */
  /** @typedef {InstanceType<typeof Live.plane.Plane>} Plane */

  /** The choice of data, with its controls. @param {Parts} toy @param {Plane} plane
   *  @param {() => void} changed what to do when the data are others */
  const choose = (toy, plane, changed) => {
    const { slider, select, button } = Live.controls;
    const { ring, moons, own } = Live.data.oracle;
    const titles = {
      ring: "eight Gaussians",
      moons: "moons, 40 points",
      own: "your points",
    };
    const kind = select(toy, "data", "data", titles, "ring");
    const ends = { min: -2, max: 2, step: 0.1 };
    const x = slider(toy, "x", "new point, x", { ...ends, value: 0 });
    const y = slider(toy, "y", "new point, y", { ...ends, value: 0 });
    const points = own.map((point) => [...point]);
    const add = button(toy, "add", "Add point", () => put([x.value, y.value]));
    const undo = button(toy, "undo", "Remove last", () => {
      if (points.length > 1) points.pop();
      renew();
    });
    let version = 0;
    /** @type {Mixture} */
    let mixture;

    /** @param {number[]} point */
    const put = (point) => {
      points.push(point);
      renew();
    };
    const renew = () => {
      version += 1;
      const isOwn = kind.value === "own";
      for (const part of [x.row, y.row, add, undo]) part.hidden = !isOwn;
      plane.canvas.classList.toggle("live-tap", isOwn);
      const [circles, what] =
        kind.value === "ring"
          ? ["two standard deviations of the data around each mode", "mode"]
          : ["the data points", "data point"];
      plane.key.textContent = `Circles: ${circles}. Colors: which ${what} is the likeliest at each place, paler where that is open.`;
      mixture =
        kind.value === "ring"
          ? new GaussianMixture(ring.weights, ring.means, ring.stds)
          : GaussianMixture.ofPoints(isOwn ? points.slice() : moons);
      changed();
    };
    kind.addEventListener("change", renew);
    plane.canvas.addEventListener("click", (event) => {
      if (kind.value === "own") {
        put(plane.placeOf(event));
        toy.change();
      }
    });

    return {
      start: renew,
      get mixture() {
        return mixture;
      },
      get isFinite() {
        return kind.value !== "ring";
      },
      get isOwn() {
        return kind.value === "own";
      },
      /** Draws the data, and where the next point would go. */
      draw() {
        const radius = kind.value === "ring" ? 2 * mixture.stds[0] * plane.unit : 5;
        plane.dots(mixture.means.flat(), "", { radius, alpha: 0.5, open: true });
        if (kind.value === "own") plane.cross(x.value, y.value);
      },
      /** Tells one choice of data from another. */
      get name() {
        return `${kind.value} ${version}`;
      },
    };
  };

  return { choose };
})();
