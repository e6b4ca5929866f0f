/* What guidance draws from (chapter 9): two classes on a line, the guided process, and the
   tilted density. */
// needs: plot controls random sampling solvers guidance tilted
Live.toy("guidance", (toy) => {
  const { slider, select, button, quantity, number } = Live.controls;
  const { told, every, axis, tilted, mean, width, distance } = Live.tilted;
  const quantiles = Float64Array.from(Live.data.guidance.quantiles);
  const N = quantiles.length;
  const BUDGET = 4; // milliseconds a frame
  const PATHS = Array.from({ length: 25 }, (_, i) => 10 + 20 * i);
  const X = [-2.6, 4];
  const cosine = Live.schedules.make("cosine");
  const flowTimes = Live.solvers.spacedTimes(cosine, 200, "log-snr");
  const allTimes = Live.sampling.sparseTimes(cosine.T, cosine.T);

  const w = slider(toy, "w", "scale w", { min: 0, max: 8, step: 0.25, value: 4 });
  const from = slider(toy, "from", "guide from t", {
    min: 0,
    max: cosine.T,
    step: 10,
    value: cosine.T,
  });
  const until = slider(toy, "until", "down to t", {
    min: 0,
    max: cosine.T,
    step: 10,
    value: 0,
  });
  const samplers = { flow: "flow (Heun)", noise: "fresh noise (ancestral)" };
  const sampler = select(toy, "sampler", "sampler", samplers, "flow");
  const fresh = button(toy, "fresh", "New noise", () => {
    seed += 1;
    begin();
  });

  const above = new Live.plot.Plot(toy, "Paths of guided points from noise to data.", {
    height: 230,
  });
  const below = new Live.plot.Plot(
    toy,
    "The density of guided samples beside the tilted density and that of the label.",
    { height: 230, xLabel: "x_0" },
  );
  Live.plot.legend(toy, [
    ["1", "guided samples", []],
    ["2", "tilted density", [6, 4]],
    ["3", "the label's density, w = 1", [2, 3]],
  ]);
  const shows = {
    mean: quantity(toy, "mean", "mean, guided samples"),
    tiltedMean: quantity(toy, "tilted_mean", "mean, tilted density"),
    width: quantity(toy, "width", "width, guided samples"),
    tiltedWidth: quantity(toy, "tilted_width", "width, tilted density"),
    distance: quantity(toy, "distance", "distance between the two"),
  };

  /** Every twentieth value, enough for a curve. @param {Float64Array} values */
  const thinned = (values) => values.filter((_, i) => i % 20 === 0);
  let seed = 1;
  const places = thinned(axis);
  const label = thinned(tilted(1, N).density);

  /** @type {Float64Array} */
  let x = quantiles;
  let times = flowTimes;
  /** @type {number[][]} */
  let paths = [];
  /** @type {Generator<Float64Array, void>} */
  let states;
  let isDone = false;
  /** The curve of the last samples that are done. @type {(number[] | Float64Array)[]} */
  let last = [[], []];

  /** Start the chain again. */
  const begin = () => {
    const isFlow = sampler.value === "flow";
    fresh.hidden = isFlow;
    const denoiser = Live.guidance.guided(
      told.denoiser(cosine),
      every.denoiser(cosine),
      w.value,
      [until.value, from.value],
    );
    times = isFlow ? flowTimes : allTimes;
    x = isFlow ? quantiles : Live.random.normal(N, 7919 * seed);
    states = Live.sampling.reverseProcess(denoiser, cosine, x, {
      step: isFlow
        ? Live.solvers.heunStep(denoiser)
        : Live.sampling.ancestralStep("beta"),
      times,
      noise: (i) => Live.random.normal(N, 7919 * seed + i + 1),
    });
    paths = PATHS.map((i) => [x[i]]);
    isDone = false;
    Object.assign(toy, { state: () => ({ x, seed, isDone }) });
  };
  // guidance begins before it ends: one slider pushes the other
  from.input.addEventListener("input", () => {
    if (until.value > from.value) until.value = from.value;
  });
  until.input.addEventListener("input", () => {
    if (from.value < until.value) from.value = until.value;
  });
  for (const control of [w.input, from.input, until.input, sampler]) {
    control.addEventListener(control === sampler ? "change" : "input", begin);
  }
  begin();

  /** Go on for a few milliseconds. */
  const proceed = () => {
    const end = performance.now() + BUDGET;
    while (!isDone && performance.now() < end) {
      const { value } = states.next();
      if (!value) isDone = true;
      else {
        x = value;
        paths.forEach((path, i) => path.push(value[PATHS[i]]));
      }
    }
  };

  /** How dense the samples are: a curve through quantiles, or a histogram. */
  const drawn = () => {
    if (sampler.value === "flow") {
      const middles = x.slice(1).map((value, i) => (value + x[i]) / 2);
      return [middles, x.slice(1).map((value, i) => 1 / (N * (value - x[i])))];
    }
    const size = 0.1;
    const heights = new Float64Array(80);
    for (const value of x) heights[Math.floor((value + 4) / size)] += 1 / (N * size);
    const corners = [...heights].flatMap((height, i) => [
      [i * size - 4, height],
      [(i + 1) * size - 4, height],
    ]);
    return [corners.map(([at]) => at), corners.map(([, height]) => height)];
  };

  /** All paths in one stroke: they are long. @param {number} left
   *  @param {number} right in pixels */
  const drawPaths = (left, right) => {
    const { g } = above;
    const [noise, data] = [above.atY(cosine.T), above.atY(0)];
    const scale = (right - left) / (X[1] - X[0]);
    g.save();
    g.beginPath();
    g.rect(left, noise, right - left, data - noise);
    g.clip();
    g.beginPath();
    const isFlow = sampler.value === "flow"; // of jagged paths a few are enough
    for (const path of isFlow ? paths : paths.filter((_, i) => i % 4 === 0)) {
      path.forEach((value, i) => {
        const [across, down] = [
          left + scale * (value - X[0]),
          data + (times[i] / cosine.T) * (noise - data),
        ];
        if (i) g.lineTo(across, down);
        else g.moveTo(across, down);
      });
    }
    Object.assign(g, { strokeStyle: above.color(""), lineWidth: 1, globalAlpha: 0.6 });
    g.stroke();
    g.restore();
  };

  toy.draw(() => {
    proceed();
    if (!isDone) toy.change(); // the rest in the next frame
    const law = tilted(w.value, N);
    above.begin(X, [0, cosine.T]);
    const { g } = above;
    const [left, right] = [above.atX(X[0]), above.atX(X[1])];
    const [top, bottom] = [from, until].map((end) => above.atY(end.value));
    g.globalAlpha = 0.12;
    g.fillStyle = above.color("1");
    g.fillRect(left, top, right - left, bottom - top);
    g.globalAlpha = 1;
    above.text("t = 1000, noise", left + 6, above.atY(cosine.T) + 14);
    above.text("t = 0, data", left + 6, above.atY(0) - 6);
    if (bottom - top > 14) above.text("guided", right - 6, bottom - 6, "right", "1");
    drawPaths(left, right);

    if (isDone) last = drawn();
    const [at, heights] = last; // paler until the next one is there
    const density = thinned(law.density);
    const most = [...heights, ...density, 1].reduce((a, b) => Math.max(a, b));
    below.begin(X, [0, 1.1 * most], { yTicks: false });
    below.curve(places, density, "2", { fill: true, dash: [6, 4] });
    below.curve(places, label, "3", { dash: [2, 3], width: 1.5 });
    below.curve(at, heights, "1", { width: 2.5, alpha: isDone ? 1 : 0.4 });
    if (!isDone) {
      below.text("computing …", right - 6, below.atY(1.1 * most) + 14, "right", "1");
      return;
    }
    const sizes = [width(x), width(law.quantiles)];
    shows.mean(mean(x));
    shows.tiltedMean(mean(law.quantiles));
    shows.width(sizes[0]);
    shows.tiltedWidth(sizes[1]);
    shows.distance(distance(x, law.quantiles));
    toy.say(
      `Guided samples are ${number(sizes[0] / sizes[1])} times as wide as the tilted density, and have ${number(distance(x, law.quantiles))} to go to get there, on average.`,
    );
  });
});
