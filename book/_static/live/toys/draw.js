/* The network draws in your page (front page, chapter 7), beside the perfect denoiser of
   the images that come with the course: from the same noise, step by step. */
// needs: controls clothes pictures random sampling data/settings
Live.toy("draw", (toy) => {
  const { slider, select, button, quantity, element, number } = Live.controls;
  const SHAPE = [1, 28, 28];
  const SIZE = 28 ** 2;
  const TITLES = {
    network: "The network, which has learned from 60,000 images",
    perfect: "The perfect denoiser of 1000 other images",
  };
  /** The classes of Fashion-MNIST, in order. */
  const CLASSES =
    "T-shirt trousers pullover dress coat sandal shirt sneaker bag boot".split(" ");
  const schedule = Live.schedules.make("cosine"); // the one the network has seen
  /** @typedef {{x: Float64Array, guess: Float64Array}} State what led to it: the guess */

  let seed = 23; // a picture that comes out clear, as many do not
  let run = 0; // a drawing ends when there is a later one
  let isRunning = false;
  let failure = "";
  let milliseconds = 0;
  /** @type {number[]} */
  let times = [];
  /** A chain for each denoiser. @type {State[][]} */
  let chains = [];
  /** The images of the perfect denoiser, once they are loaded. @type {Float64Array[]} */
  let known = [];
  /** @type {ReturnType<typeof Live.clothes.perfect>} */
  let perfect;

  const go = button(toy, "draw", "Draw", () => {
    if (isRunning) return stop();
    if (milliseconds) seed += 1; // not the first time
    draw();
  });
  go.classList.add("live-main");
  const find = button(toy, "nearest", "Show the nearest known images", () => {
    find.ariaPressed = String(find.ariaPressed !== "true");
  });
  find.ariaPressed = "false";
  const labels = Object.fromEntries(["none", ...CLASSES].map((name) => [name, name]));
  const label = select(toy, "label", "the network's label", labels, "none");
  const scale = { min: 0, max: 8, step: 0.5, value: 2 };
  const w = slider(toy, "w", "guidance w", scale);
  const look = slider(toy, "look", "look at step", { min: 0, max: 20, value: 0 });
  const more = element("details", "live-more");
  const summary = element("summary");
  summary.textContent = "More settings";
  summary.dataset.control = "more";
  more.append(summary);
  toy.controls.append(more);
  const inside = { ...toy, controls: more, change: () => toy.change() };
  const count = { min: 5, max: 100, step: 5, value: 20 };
  const steps = slider(inside, "steps", "steps", count);
  const share = { min: 0, max: 1, step: 0.1, value: 0 };
  const eta = slider(inside, "eta", "new noise η", share);
  const yesOrNo = { yes: "yes", no: "no" };
  const clip = select(inside, "clip", "clip the guess", yesOrNo, "yes");
  const grid = element("div", "live-rows");
  toy.stage.append(grid);
  const shows = Object.entries(TITLES).map(([who, title]) => {
    const heading = element("p");
    heading.textContent = title;
    grid.append(heading);
    return ["the state", "the guess", "the nearest known image"].map((what) =>
      Live.pictures.add(grid, `${who}: ${what}`, SHAPE),
    );
  });
  const showDistances = [
    quantity(toy, "network_distance", "network: distance to the nearest"),
    quantity(toy, "perfect_distance", "perfect denoiser: distance to the nearest"),
  ];
  const showTime = quantity(toy, "milliseconds", "milliseconds a step");

  /** Pure noise, and no guess yet. */
  const begin = () => {
    stop();
    failure = "";
    times = Live.sampling.sparseTimes(schedule.T, steps.value);
    const x = Live.random.normal(SIZE, seed);
    chains = shows.map(() => [{ x, guess: new Float64Array(SIZE) }]);
    look.input.max = String(steps.value);
    look.value = 0;
  };

  const stop = () => {
    run += 1;
    isRunning = false;
  };

  /** After a change: nothing is computed before the first press of the button. */
  const restart = () => (known.length ? draw() : begin());

  /** Both denoisers, loaded when they are first needed. */
  const denoisers = async () => {
    if (!known.length) known = await Live.clothes.pictures();
    perfect ??= Live.clothes.perfect(schedule, known);
    const limit = clip.value === "yes" ? 1 : Infinity;
    const number = CLASSES.indexOf(label.value); // -1 for none
    return [await Live.clothes.trained(schedule, limit, number, w.value), perfect];
  };

  /** Both chains, in turns, while the page goes on. */
  const draw = async () => {
    begin();
    isRunning = true;
    const mine = run;
    const options = {
      step: Live.sampling.ddimStep(eta.value),
      times,
      noise: (/** @type {number} */ i) => Live.random.normal(SIZE, 1e6 * seed + i),
    };
    try {
      toy.say("Loading …");
      const processes = (await denoisers()).map((denoiser) =>
        Live.clothes.reverseProcess(denoiser, schedule, chains[0][0].x, options),
      );
      if (run === mine) toy.say("Drawing …");
      let spent = 0;
      for (let k = 1; k < times.length; k++) {
        for (const [i, process] of processes.entries()) {
          const start = performance.now();
          const { value } = await process.next();
          if (run !== mine) return;
          chains[i].push(/** @type {State} */ (value));
          if (i === 0) spent += performance.now() - start;
        }
        milliseconds = spent / k;
        if (!Live.isStill() || k === times.length - 1) look.value = k;
      }
    } catch (error) {
      if (run !== mine) return;
      failure = /** @type {Error} */ (error).message;
    }
    isRunning = false;
    toy.change();
  };

  for (const input of [steps.input, eta.input, clip, label, w.input]) {
    input.addEventListener("change", restart);
  }
  begin();

  /** @param {number[]} distances from the nearest known image */
  const sentence = ([network, perfect]) => {
    const [done, all] = [chains[1].length - 1, times.length - 1];
    if (failure) return `That did not work: ${failure}. Press Draw to try again.`;
    if (!known.length) return "Draw loads 3 MB, then computes here, in your browser.";
    if (done < all) return `Stopped after step ${done} of ${all}.`;
    if (Number.isNaN(network)) {
      return "Two pictures from the same noise. Is one of them new? Show the nearest known images, or look at an earlier step.";
    }
    const far = `${number(network)} away from the nearest known image`;
    const unit =
      " (Distances: root mean square over the pixels, where black and white are 2 apart.)";
    if (look.value < all) {
      return `After step ${look.value} the network's guess is ${far}, the perfect denoiser's ${number(perfect)}.${unit}`;
    }
    return perfect < 0.01
      ? `The perfect denoiser repeats one of its 1000 images. The network's picture is none of them: it is ${far}.${unit}`
      : `The perfect denoiser took too few steps to make up its mind, and mixes some of its images. The network's picture is ${far}.${unit}`;
  };

  toy.draw(() => {
    go.textContent = isRunning ? "Stop" : milliseconds ? "Draw another" : "Draw";
    toy.place.ariaBusy = String(isRunning);
    w.row.hidden = label.value === "none";
    find.disabled = !known.length;
    look.input.disabled = chains[0].length === 1;
    const isCompared = !find.disabled && find.ariaPressed === "true";
    grid.classList.toggle("live-compared", isCompared);
    const distances = chains.map((chain, i) => {
      const k = Math.min(look.value, chain.length - 1);
      const { x, guess } = chain[k];
      shows[i][0](x, `x_{${times[k]}}`);
      shows[i][1](guess, k ? "guess x̂_0" : "no guess yet");
      const near = isCompared && k > 0 ? Live.clothes.nearest(guess, known) : null;
      shows[i][2](near?.image ?? new Float64Array(SIZE), near ? "nearest known" : "");
      showDistances[i](near?.distance ?? NaN);
      return near?.distance ?? NaN;
    });
    showTime(milliseconds || NaN);
    if (!isRunning) toy.say(sentence(distances), failure !== "");
  });
});
