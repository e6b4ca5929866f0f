/* The best guess E[x_0 | x_t] (chapter 4): noisy points, and one that the reader moves. */
// needs: plot controls random forward oracle plane datasets
Live.toy("guess", (toy) => {
  const { slider, button, quantity, number } = Live.controls;
  const COUNT = 120;
  const plane = new Live.plane.Plane(
    toy,
    "Noisy points with arrows to the guesses of their clean points, and a large point that you place.",
  );
  Live.plot.legend(toy, [
    ["1", "from a noisy point to its guess"],
    ["2", "from the large point's guess to what it mixes, wider for a larger share"],
  ]);
  const data = Live.datasets.choose(toy, plane, () => draw());
  const t = slider(toy, "t", "time t", { min: 1, max: 1000, value: 200 });
  const ends = { min: -2, max: 2, step: 0.05 };
  const x = slider(toy, "x_t", "x_t across", { ...ends, value: -1.3 });
  const y = slider(toy, "y_t", "x_t up", { ...ends, value: 0.4 });
  button(toy, "fresh", "New points", () => {
    seed += 1;
    draw();
  });
  const showX = quantity(toy, "guess_x", "guess, across");
  const showY = quantity(toy, "guess_y", "guess, up");
  const showMix = quantity(toy, "mix", "modes or points in the mix");
  const showLog = quantity(toy, "log_q", "log q(x_t)");
  const schedule = Live.schedules.make("linear");

  let seed = 1;
  let x0 = new Float64Array();
  let eps = x0;

  /** Clean points and their noise. */
  const draw = () => {
    x0 = data.mixture.sample(COUNT, seed);
    eps = Live.random.normal(2 * COUNT, seed + 1000);
  };
  data.start();

  plane.canvas.classList.add("live-tap");
  plane.canvas.addEventListener("click", (event) => {
    if (data.isOwn) return; // there a click adds a point of the data
    [x.value, y.value] = plane.placeOf(event);
  });

  toy.draw(() => {
    const { mixture } = data;
    const xt = Live.forward.qSample(schedule, x0, t.value, eps);
    const mine = Float64Array.of(x.value, y.value);
    const guess = mixture.x0Mean(schedule, mine, t.value);
    const shares = mixture.shares(schedule, mine, t.value);
    plane.begin();
    plane.regions(mixture, schedule, t.value, data.name);
    data.draw();
    plane.dots(xt, "", { alpha: 0.6 });
    plane.arrows(xt, mixture.x0Mean(schedule, xt, t.value), "1", { alpha: 0.5 });
    shares.forEach((share, k) => {
      if (share > 0.003) {
        const line = { width: 1 + 6 * share, alpha: 0.3 + 0.5 * share, head: 0 };
        plane.arrows(guess, mixture.means[k], "2", line);
      }
    });
    plane.dots(mine, "", { radius: 6 });
    plane.arrows(mine, guess, "1", { width: 3, alpha: 1 });

    const entropy = shares.reduce((sum, r) => sum - (r && r * Math.log(r)), 0);
    showX(guess[0]);
    showY(guess[1]);
    showMix(Math.exp(entropy));
    showLog(mixture.logProb(schedule, mine, t.value)[0]);
    const likeliest = Math.max(...shares);
    const what = data.isFinite ? "point" : "mode";
    toy.say(
      likeliest > 0.99
        ? `It is nearly certain which ${what} the point came from.`
        : `The guess is as mixed as an even mix of ${number(Math.exp(entropy))} ${what}s; the likeliest has ${number(100 * likeliest)}%.`,
    );
  });
});
